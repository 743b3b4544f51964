package view

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// browser is Debian's chromium, spoken to over a pipe (--remote-debugging-pipe):
// JSON messages, each ended by a zero byte.
type browser struct {
	t        *testing.T
	in       io.WriteCloser
	messages chan message
	session  string
	last     int
	Asked    []string // addresses that the page asked for
	Said     []string // console, errors and refusals
}

type message struct {
	ID        int             `json:"id,omitempty"`
	Method    string          `json:"method,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     json.RawMessage `json:"error,omitempty"`
}

// startBrowser skips where there is no chromium.
func startBrowser(t *testing.T) *browser {
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium")
	}
	toR, toW, err := os.Pipe()
	require.NoError(t, err)
	fromR, fromW, err := os.Pipe()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	home := t.TempDir()
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--user-data-dir="+filepath.Join(home, "profile"), "--remote-debugging-pipe", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home, "DBUS_SESSION_BUS_ADDRESS=disabled:")
	cmd.ExtraFiles = []*os.File{toR, fromW}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	require.NoError(t, cmd.Start())
	_ = toR.Close()
	_ = fromW.Close()
	b := &browser{t: t, in: toW, messages: make(chan message, 10000)}
	go b.read(fromR)
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cancel()
		_ = cmd.Wait()
		_ = toW.Close()
		_ = fromR.Close()
	})
	b.open()
	return b
}

func (b *browser) read(r io.Reader) {
	defer close(b.messages)
	for br := bufio.NewReader(r); ; {
		text, err := br.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) == nil {
			b.messages <- m
		}
	}
}

// call sends a command and returns its result into out.
func (b *browser) call(method string, params, out any) {
	b.t.Helper()
	b.last++
	p, err := json.Marshal(params)
	require.NoError(b.t, err)
	text, err := json.Marshal(message{ID: b.last, Method: method, SessionID: b.session, Params: p})
	require.NoError(b.t, err)
	_, err = b.in.Write(append(text, 0))
	require.NoError(b.t, err)
	for m := range b.messages {
		if m.ID != b.last {
			b.note(m)
			continue
		}
		require.Empty(b.t, string(m.Error), method)
		if out != nil {
			require.NoError(b.t, json.Unmarshal(m.Result, out))
		}
		return
	}
	b.t.Fatalf("%s: the browser is gone", method)
}

func (b *browser) note(m message) {
	switch m.Method {
	case "Network.requestWillBeSent":
		var p struct{ Request struct{ URL string } }
		_ = json.Unmarshal(m.Params, &p)
		b.Asked = append(b.Asked, p.Request.URL)
	case "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Page.javascriptDialogOpening":
		b.Said = append(b.Said, m.Method+string(m.Params))
	}
}

func (b *browser) open() {
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	b.session = session.SessionID
	for _, domain := range []string{"Page", "Runtime", "Network", "Log"} {
		b.call(domain+".enable", map[string]any{}, nil)
	}
}

// show loads a file at a width, as a phone or a window would.
func (b *browser) show(file string, width int, dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"media": "", "features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	b.Asked, b.Said = nil, nil
	b.call("Page.navigate", map[string]any{"url": "file://" + file}, nil)
	for range 200 {
		if b.eval(`document.readyState + location.protocol`) == "completefile:" {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	b.t.Fatal("the page does not load")
}

// eval gives the value of an expression as text. It works whatever the page's policy.
func (b *browser) eval(expr string) string {
	b.t.Helper()
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expr, "returnByValue": true}, &r)
	require.Empty(b.t, string(r.ExceptionDetails), expr)
	return fmt.Sprint(r.Result.Value)
}

// picture keeps a screenshot where DAYOPS_PICTURES says, for people to look at.
func (b *browser) picture(name string, full bool) {
	dir := os.Getenv("DAYOPS_PICTURES")
	if dir == "" {
		return
	}
	var r struct{ Data string }
	if strings.HasSuffix(name, ".pdf") {
		b.call("Page.printToPDF", map[string]any{"printBackground": true, "preferCSSPageSize": true}, &r)
	} else {
		b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": full}, &r)
	}
	data, err := base64.StdEncoding.DecodeString(r.Data)
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
}
