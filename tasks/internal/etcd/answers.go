package etcd

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/reader"
)

// Bounds of what a host may answer.
const (
	maxAnswer  = 512 << 10
	maxMembers = 100
	maxText    = 300
)

// Status is one endpoint's answer to `endpoint status`.
type Status struct {
	Endpoint  string
	ClusterID uint64
	MemberID  uint64
	Revision  int64
	Version   string
	DBSize    int64
	DBInUse   int64 // 0 where the version does not tell (before 3.4)
	Leader    uint64
	Index     uint64
	Applied   uint64 // 0 where the version does not tell (before 3.4)
	Term      uint64
	Learner   bool
	Errors    []string // "etcdserver: no leader", alarms
}

// Hash is one endpoint's answer to `endpoint hashkv`. Hashes can be compared
// where the compact revisions are the same.
type Hash struct {
	MemberID uint64
	Hash     uint32
	Compact  int64
}

// Alarm is one alarm of one member.
type Alarm struct {
	MemberID uint64
	Kind     string // NOSPACE, CORRUPT, or the number of one that we do not know
}

// Health is one endpoint's answer to `endpoint health`.
type Health struct {
	OK    bool
	Took  time.Duration
	Error string
}

type header struct {
	ClusterID uint64 `json:"cluster_id"`
	MemberID  uint64 `json:"member_id"`
	Revision  int64  `json:"revision"`
	Term      uint64 `json:"raft_term"`
}

func decode(answer string, into any) error {
	if len(answer) > maxAnswer {
		return fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	if err := json.Unmarshal([]byte(answer), into); err != nil {
		return fmt.Errorf("the answer is no JSON that etcdctl gives: %s", text(answer))
	}
	return nil
}

// ParseMembers reads `member list -w json`.
func ParseMembers(answer string) (cluster uint64, members []Member, err error) {
	var got struct {
		Header  header `json:"header"`
		Members []struct {
			ID         uint64   `json:"ID"`
			Name       string   `json:"name"`
			Learner    bool     `json:"isLearner"`
			PeerURLs   []string `json:"peerURLs"`
			ClientURLs []string `json:"clientURLs"`
		} `json:"members"`
	}
	if err := decode(answer, &got); err != nil {
		return 0, nil, err
	}
	if len(got.Members) == 0 || len(got.Members) > maxMembers {
		return 0, nil, fmt.Errorf("a list of %d members", len(got.Members))
	}
	seen := map[uint64]bool{}
	for _, m := range got.Members {
		if seen[m.ID] {
			return 0, nil, fmt.Errorf("member %x is listed twice", m.ID)
		}
		seen[m.ID] = true
		members = append(members, Member{ID: m.ID, Name: text(m.Name), Learner: m.Learner, PeerURLs: urls(m.PeerURLs), ClientURLs: urls(m.ClientURLs)})
	}
	return got.Header.ClusterID, members, nil
}

// ParseStatus reads `endpoint status -w json`: those endpoints that answered.
func ParseStatus(answer string) ([]Status, error) {
	var got []struct {
		Endpoint string
		Status   struct {
			Header  header   `json:"header"`
			Version string   `json:"version"`
			DBSize  int64    `json:"dbSize"`
			InUse   int64    `json:"dbSizeInUse"`
			Leader  uint64   `json:"leader"`
			Index   uint64   `json:"raftIndex"`
			Applied uint64   `json:"raftAppliedIndex"`
			Term    uint64   `json:"raftTerm"`
			Learner bool     `json:"isLearner"`
			Errors  []string `json:"errors"`
		}
	}
	if err := decode(answer, &got); err != nil {
		return nil, err
	}
	if len(got) > maxMembers {
		return nil, fmt.Errorf("a list of %d endpoints", len(got))
	}
	var out []Status
	for _, g := range got {
		s := g.Status
		if s.DBSize < 0 || s.InUse < 0 || s.Header.Revision < 0 {
			return nil, errors.New("an answer with sizes below 0")
		}
		out = append(out, Status{
			Endpoint: text(g.Endpoint), ClusterID: s.Header.ClusterID, MemberID: s.Header.MemberID, Revision: s.Header.Revision,
			Version: text(s.Version), DBSize: s.DBSize, DBInUse: s.InUse, Leader: s.Leader, Index: s.Index, Applied: s.Applied,
			Term: s.Term, Learner: s.Learner, Errors: texts(s.Errors),
		})
	}
	return out, nil
}

// ParseHash reads `endpoint hashkv -w json` of one endpoint.
func ParseHash(answer string) (Hash, error) {
	var got []struct {
		HashKV struct {
			Header  header `json:"header"`
			Hash    uint32 `json:"hash"`
			Compact int64  `json:"compact_revision"`
		}
	}
	if err := decode(answer, &got); err != nil {
		return Hash{}, err
	}
	if len(got) != 1 {
		return Hash{}, fmt.Errorf("%d hashes for one endpoint", len(got))
	}
	h := got[0].HashKV
	return Hash{MemberID: h.Header.MemberID, Hash: h.Hash, Compact: h.Compact}, nil
}

// ParseAlarms reads `alarm list -w json`.
func ParseAlarms(answer string) ([]Alarm, error) {
	var got struct {
		Alarms []struct {
			MemberID uint64 `json:"memberID"`
			Alarm    int64  `json:"alarm"`
		} `json:"alarms"`
	}
	if err := decode(answer, &got); err != nil {
		return nil, err
	}
	if len(got.Alarms) > maxMembers {
		return nil, fmt.Errorf("a list of %d alarms", len(got.Alarms))
	}
	var out []Alarm
	for _, a := range got.Alarms {
		kind := map[int64]string{1: "NOSPACE", 2: "CORRUPT"}[a.Alarm]
		if kind == "" {
			kind = fmt.Sprintf("number %d", a.Alarm)
		}
		out = append(out, Alarm{MemberID: a.MemberID, Kind: kind})
	}
	return out, nil
}

// ParseKeys reads the count of `get -w json`.
func ParseKeys(answer string) (int64, error) {
	var got struct {
		Header *header `json:"header"`
		Count  int64   `json:"count"`
	}
	if err := decode(answer, &got); err != nil {
		return 0, err
	}
	if got.Header == nil || got.Count < 0 {
		return 0, errors.New("the answer has no count of keys")
	}
	return got.Count, nil
}

var proseHealth = regexp.MustCompile(`(?m) is (healthy|unhealthy): (.*)$`)
var proseTook = regexp.MustCompile(`\btook = ([0-9a-zµ.]{1,20})$`)

// ParseHealth reads `endpoint health` of one endpoint: JSON from 3.4 on, and the
// line that 3.2 and 3.3 print to either stream whatever -w says.
func ParseHealth(stdout, stderr string) (Health, error) {
	var got []struct {
		Health bool   `json:"health"`
		Took   string `json:"took"`
		Error  string `json:"error"`
	}
	if err := decode(stdout, &got); err == nil {
		if len(got) != 1 {
			return Health{}, fmt.Errorf("%d answers for one endpoint", len(got))
		}
		took, _ := time.ParseDuration(got[0].Took)
		// From 3.5 on an alarm alone makes it false; the read was confirmed all the same.
		alarmed := strings.Contains(got[0].Error, "Active Alarm(s)")
		return Health{OK: got[0].Health || alarmed, Took: max(0, took), Error: text(got[0].Error)}, nil
	}
	for _, s := range []string{stdout, stderr} {
		if len(s) > maxAnswer {
			continue
		}
		found := proseHealth.FindAllStringSubmatch(s, 2)
		if len(found) != 1 {
			continue
		}
		h := Health{OK: found[0][1] == "healthy"}
		if m := proseTook.FindStringSubmatch(found[0][2]); m != nil {
			h.Took, _ = time.ParseDuration(m[1])
			h.Took = max(0, h.Took)
		}
		if !h.OK {
			h.Error = text(found[0][2])
		}
		return h, nil
	}
	return Health{}, fmt.Errorf("the answer is none that etcdctl gives: %s", text(stdout))
}

var v2Verdict = regexp.MustCompile(`(?m)^cluster is (healthy|degraded|unhealthy|unavailable)$`)

// ParseV2Health reads the last line of the v2 `cluster-health`, which has no JSON.
func ParseV2Health(answer string) (verdict string, ok bool) {
	if len(answer) > maxAnswer {
		return "", false
	}
	m := v2Verdict.FindAllStringSubmatch(answer, 2)
	if len(m) != 1 {
		return "", false
	}
	return m[0][1], true
}

// Problem is the end of what etcdctl said on its error stream, without its log lines.
func Problem(stderr string) string {
	const most = 64 << 10
	if len(stderr) > most {
		stderr = stderr[len(stderr)-most:]
	}
	last, logged := "", ""
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "{") {
			logged = loggedError(line)
		} else if line != "" && line != "Error: unhealthy cluster" {
			last = strings.TrimPrefix(line, "Error: ")
		}
	}
	// The log has the cause where the message only has the deadline.
	if logged != "" && (last == "" || strings.Contains(last, "context deadline exceeded")) {
		return text(logged)
	}
	return text(last)
}

// loggedError is the cause inside a log line of the client.
func loggedError(line string) string {
	var got struct{ Error string }
	if json.Unmarshal([]byte(line), &got) != nil {
		return ""
	}
	_, cause, found := strings.Cut(got.Error, "desc = ")
	if !found {
		return got.Error
	}
	if _, inner, ok := strings.Cut(cause, `desc = "`); ok {
		return strings.TrimPrefix(strings.TrimSuffix(inner, `"`), "transport: ")
	}
	return strings.TrimPrefix(cause, "latest balancer error: ")
}

// text makes what a host says fit for one line.
func text(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "..."
	}
	return reader.Printable(s)
}

func texts(in []string) []string {
	const most = 20
	var out []string
	for _, s := range in[:min(len(in), most)] {
		out = append(out, text(s))
	}
	return out
}
