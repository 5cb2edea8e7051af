package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
)

// A sealed value, version 1:
//
//	1 byte    version
//	32 bytes  salt, at random
//	12 bytes  nonce, at random
//	n bytes   the value by AES-256-GCM
//	16 bytes  tag
//
// The AES key is HKDF-SHA256(master key, salt, "bellhop secret 1"); the
// additional data are the version, owner and name, so that the sealed value of
// one secret does not pass for that of another.
const (
	version  = 1
	saltSize = 32
	purpose  = "bellhop secret 1"
)

var errSealed = errors.New("it is not what was sealed under that owner and name")

// seal seals a value.
func (k key) seal(owner, name string, value []byte) []byte {
	out := make([]byte, 1+saltSize, 1+saltSize+len(value)+28)
	out[0] = version
	_, _ = rand.Read(out[1:]) // never fails
	return k.aead(out[1:]).Seal(out, nil, value, bound(owner, name))
}

// open returns the value of what seal made.
func (k key) open(owner, name string, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+saltSize || sealed[0] != version {
		return nil, errSealed
	}
	value, err := k.aead(sealed[1:1+saltSize]).Open(nil, nil, sealed[1+saltSize:], bound(owner, name))
	if err != nil {
		return nil, errSealed
	}
	return value, nil
}

func (k key) aead(salt []byte) cipher.AEAD {
	block, err := aes.NewCipher(k.derive(salt[:saltSize], purpose, 32))
	if err == nil {
		var a cipher.AEAD
		if a, err = cipher.NewGCMWithRandomNonce(block); err == nil {
			return a
		}
	}
	panic("secret: AES-256-GCM is not to be had: " + err.Error()) // its key has 32 bytes
}

// bound is what a sealed value is bound to: each part with its length before
// it, so that no other owner and name give the same.
func bound(owner, name string) []byte {
	out := []byte{version}
	for _, s := range []string{owner, name} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(s)))
		out = append(out, s...)
	}
	return out
}
