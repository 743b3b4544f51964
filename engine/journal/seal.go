package journal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Key is 32 random bytes of the state folder, made at first use, 0600. What
// hosts and variables gave may be secret: it stands in journals only under it.
func Key(stateDir string) ([]byte, error) {
	path := filepath.Join(stateDir, "key")
	for range 2 {
		key, err := os.ReadFile(path)
		if err == nil && len(key) != keySize {
			return nil, fmt.Errorf("%s has %d bytes, a key has %d; without it the journals of earlier runs cannot be read", path, len(key), keySize)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return key, err
		}
		if err := makeKey(stateDir, path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s cannot be made", path)
}

const keySize = 32

// makeKey links a whole file into its place: another process never reads half of it.
func makeKey(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".key-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	_, err = f.Write(key)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

// sealer hides the fields of records that may hold secrets (AES-256-GCM).
type sealer struct{ aead cipher.AEAD }

func newSealer(stateDir string) (sealer, error) {
	key, err := Key(stateDir)
	if err != nil {
		return sealer{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCM(block)
	return sealer{aead}, err
}

func (s sealer) seal(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	nonce := make([]byte, s.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return json.Marshal(s.aead.Seal(nonce, nonce, raw, nil))
}

var errSealed = errors.New("a line was sealed under another key")

func (s sealer) open(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var sealed []byte
	if err := json.Unmarshal(raw, &sealed); err != nil || len(sealed) < s.aead.NonceSize() {
		return nil, errSealed
	}
	n := s.aead.NonceSize()
	plain, err := s.aead.Open(nil, sealed[:n], sealed[n:], nil)
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}

// each gives r with every field that may be secret put through f.
func (r Record) each(f func(json.RawMessage) (json.RawMessage, error)) (Record, error) {
	errs := make([]error, 0, 8)
	do := func(raw *json.RawMessage) {
		out, err := f(*raw)
		*raw = out
		errs = append(errs, err)
	}
	do(&r.Outcome)
	do(&r.Result)
	if r.Run != nil {
		run := *r.Run
		do(&run.Options)
		do(&run.Text)
		r.Run = &run
	}
	if r.Change != nil {
		c := *r.Change
		do(&c.Data)
		r.Change = &c
	}
	r.Stages = slices.Clone(r.Stages)
	for i := range r.Stages {
		if u := r.Stages[i].Until; u != nil {
			c := *u
			do(&c.Data)
			r.Stages[i].Until = &c
		}
	}
	for _, list := range []*[]Change{&r.Inverse, &r.Finally} {
		*list = slices.Clone(*list)
		for i := range *list {
			do(&(*list)[i].Data)
		}
	}
	return r, errors.Join(errs...)
}
