package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/config"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// shelf keeps the YAML of services in the store, each with its versions. A
// version's text is written first, then what is known of it, and last the head
// of its service, which names it: only then it is there. What a crash leaves of
// the former two is cleared away later.
type shelf struct {
	values bellhop.Values
	clock  bellhop.Clock
}

// The namespaces: heads by service; the other two by the key of a version.
const (
	shelfHeads = "yaml"
	shelfPast  = "yaml.history"
	shelfTexts = "yaml.text"
	shelfLock  = "yaml.lock"
)

const (
	maxPast   = 100       // versions of a service that are kept
	shelfPage = 100       // values that are listed at a time
	maxYAML   = 1_000_000 // bytes of a text; a value of the store takes a little more
)

// version is what is known of one version of a service.
type version struct {
	api.YAML
	Key    string `json:"key"`              // of its text
	Before string `json:"before,omitempty"` // Key of the version before
	Sum    string `json:"sum,omitempty"`    // of its text
}

// head is the newest version of a service.
type head struct {
	version
	stored int64 // version of the value, for compare and swap; 0 = there is none
}

// there reports whether the store has the service now.
func (h head) there() bool { return h.stored != 0 && !h.Removed }

func sumOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// heads returns the newest version of every service that there is or was.
func (s shelf) heads(ctx context.Context) (map[string]head, error) {
	all := map[string]head{}
	err := s.each(ctx, shelfHeads, "", func(v bellhop.Stored) error {
		h := head{stored: v.Version}
		if err := json.Unmarshal(v.Value, &h.version); err != nil {
			return damaged(v.Key, err)
		}
		all[v.Key] = h
		return nil
	})
	return all, err
}

func damaged(key string, err error) error {
	return bellhop.Errorf(bellhop.Internal, "what the store has of the YAML of service %s can't be read: %w", key, err)
}

func (s shelf) each(ctx context.Context, space, prefix string, fn func(bellhop.Stored) error) error {
	for after := ""; ; {
		list, err := s.values.List(ctx, space, prefix, after, shelfPage, s.clock.Now())
		if err != nil {
			return err
		}
		for _, v := range list {
			if err := fn(v); err != nil {
				return err
			}
			after = v.Key
		}
		if len(list) < shelfPage {
			return nil
		}
	}
}

// text returns that of a version which is not a removal.
func (s shelf) text(ctx context.Context, v version) ([]byte, error) {
	got, err := s.values.Get(ctx, shelfTexts, v.Key, s.clock.Now())
	if err != nil {
		return nil, bellhop.Errorf(bellhop.CodeOf(err), "the text of version %d of service %s can't be read: %w", v.Version, v.Service, err)
	}
	if sumOf(got.Value) != v.Sum {
		return nil, damaged(v.Service, errors.New("its text is another one than was written"))
	}
	return got.Value, nil
}

// documents returns the services that the store has now.
func (s shelf) documents(ctx context.Context, heads map[string]head) (map[string]config.Document, error) {
	docs := map[string]config.Document{}
	for name, h := range heads {
		if !h.there() {
			continue
		}
		text, err := s.text(ctx, h.version)
		if err != nil {
			return nil, err
		}
		docs[name] = config.Document{Service: name, Text: text}
	}
	return docs, nil
}

// next is the version that follows a head.
func (s shelf) next(h head, service, by string, text []byte) head {
	n := head{stored: h.stored}
	n.YAML = api.YAML{Service: service, Version: h.Version + 1, By: by, At: s.clock.Now().UTC(), Bytes: len(text), Removed: text == nil}
	n.Key, n.Before = fmt.Sprintf("%s/%08d-%s", service, n.Version, randomID()), h.Key
	if text != nil {
		n.Sum = sumOf(text)
	}
	return n
}

// put writes a version. Conflict: another one came first.
func (s shelf) put(ctx context.Context, h head, text []byte) error {
	now := s.clock.Now()
	if text != nil {
		if _, err := s.values.Put(ctx, shelfTexts, h.Key, text, 0, 0, now); err != nil {
			return err
		}
	}
	value, err := json.Marshal(h.version)
	if err != nil {
		return err
	}
	if _, err := s.values.Put(ctx, shelfPast, h.Key, value, 0, 0, now); err != nil {
		return err
	}
	_, err = s.values.Put(ctx, shelfHeads, h.Service, value, h.stored, 0, now)
	if bellhop.CodeOf(err) == bellhop.Conflict {
		return bellhop.Errorf(bellhop.Conflict, "the YAML of service %s was changed at the same time; look at it again (bellhop yaml get %[1]s)", h.Service)
	}
	return err
}

// past returns the versions of a service, newest first, and the keys of what is
// kept besides: what is too old, or was never finished.
func (s shelf) past(ctx context.Context, h head) (list []version, other []string, err error) {
	known := map[string]version{}
	err = s.each(ctx, shelfPast, h.Service+"/", func(v bellhop.Stored) error {
		var one version
		if err := json.Unmarshal(v.Value, &one); err != nil {
			return damaged(h.Service, err)
		}
		known[v.Key] = one
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	for key := h.Key; len(list) < maxPast; {
		v, ok := known[key]
		if !ok {
			break
		}
		list, key = append(list, v), v.Before
		delete(known, v.Key)
	}
	for key, v := range known {
		if v.Version <= h.Version { // else somebody is writing it
			other = append(other, key)
		}
	}
	return list, other, nil
}

// clear removes what is not to be kept of a service.
func (s shelf) clear(ctx context.Context, h head) error {
	_, other, err := s.past(ctx, h)
	if err != nil {
		return err
	}
	for _, key := range other {
		for _, space := range []string{shelfTexts, shelfPast} { // in this order: what is left of a crash is found again
			if err := s.values.Delete(ctx, space, key, -1, s.clock.Now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// lockFor is longer than a change takes; who dies with the lock keeps others out
// for no longer.
const lockFor = 20 * time.Second

// lock keeps other servers of a shared store from changing a service, so that
// two changes that don't go together are not both found good.
func (s shelf) lock(ctx context.Context, who string) (unlock func(), err error) {
	v, err := s.values.Put(ctx, shelfLock, "change", []byte(who), 0, lockFor, s.clock.Now())
	if bellhop.CodeOf(err) == bellhop.Conflict {
		return nil, bellhop.Errorf(bellhop.Conflict, "another server of this store changes a service just now; try again in a moment")
	}
	if err != nil {
		return nil, err
	}
	return func() {
		_ = s.values.Delete(context.WithoutCancel(ctx), shelfLock, "change", v, s.clock.Now()) // else it runs out
	}, nil
}
