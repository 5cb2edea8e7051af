package web

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/bellhop-io/bellhop"
)

// keyPair is a certificate with its key, read again when its files change, so
// that a renewed one is used without a restart.
type keyPair struct {
	cert, key string
	log       *slog.Logger
	now       func() time.Time

	mu     sync.Mutex
	loaded *tls.Certificate
	stamp  [2]time.Time // of the files that were looked at last
	looked time.Time
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = 10 * time.Second

func (k *keyPair) load() error {
	stamp, err := k.stamps()
	if err == nil {
		var c tls.Certificate
		if c, err = tls.LoadX509KeyPair(k.cert, k.key); err == nil {
			k.loaded, k.stamp = &c, stamp
			return nil
		}
	}
	return bellhop.Errorf(bellhop.Invalid, "web.tls: %s and %s are no certificate with its key: %w", k.cert, k.key, err)
}

func (k *keyPair) stamps() (stamp [2]time.Time, err error) {
	for i, name := range [...]string{k.cert, k.key} {
		info, err := os.Stat(name)
		if err != nil {
			return stamp, err
		}
		stamp[i] = info.ModTime()
	}
	return stamp, nil
}

func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.now(); now.Sub(k.looked) >= lookEvery {
		k.looked = now
		if stamp, err := k.stamps(); err == nil && stamp != k.stamp {
			if err := k.load(); err != nil { // the old one goes on
				k.log.Warn("a changed certificate can't be used yet", "error", err)
			}
		}
	}
	return k.loaded, nil
}
