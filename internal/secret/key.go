// Package secret seals secrets for the store and opens them again. The master
// key is kept outside the store: in BELLHOP_KEY, or in a file that nobody else
// may read.
package secret

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// key is a master key.
type key [32]byte

func newKey() key {
	var k key
	_, _ = rand.Read(k[:]) // never fails
	return k
}

// parseKey reads 64 hex digits, or 32 bytes in base64 of any kind.
func parseKey(text string) (k key, ok bool) {
	text = strings.TrimSpace(text)
	if b, err := hex.DecodeString(text); err == nil && len(b) == len(k) {
		return key(b), true
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := enc.DecodeString(text); err == nil && len(b) == len(k) {
			return key(b), true
		}
	}
	return k, false
}

// text is how a key file holds the key.
func (k key) text() string { return base64.StdEncoding.EncodeToString(k[:]) + "\n" }

// id names the key without telling it: 16 hex digits.
func (k key) id() string { return hex.EncodeToString(k.derive(nil, "bellhop key id", 8)) }

// derive makes a key for one purpose.
func (k key) derive(salt []byte, purpose string, n int) []byte {
	b, err := hkdf.Key(sha256.New, k[:], salt, purpose, n)
	if err != nil { // n is far below its limit, and k has 32 bytes
		panic("secret: a key can't be derived: " + err.Error())
	}
	return b
}
