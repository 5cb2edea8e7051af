package brokertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bellhop-io/bellhop"
)

// Certificate writes ca.pem, cert.pem and key.pem for 127.0.0.1 to a folder.
func Certificate(t testing.TB, folder string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, kind string, der []byte) {
		t.Helper()
		must(os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	must(err)
	write("ca.pem", "CERTIFICATE", der)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "broker"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err = x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	must(err)
	write("cert.pem", "CERTIFICATE", der)
	der, err = x509.MarshalPKCS8PrivateKey(key)
	must(err)
	write("key.pem", "PRIVATE KEY", der)
}

// Encrypted is a part of the suite for a server that shows the certificate in
// its folder: who does not know the authority does not connect.
func Encrypted(t *testing.T, subscribe bellhop.Subscribe, b bellhop.Broker, folder string) {
	t.Helper()
	b.Service, b.Name, b.MaxInFlight, b.ClaimAfter = "example", "b", 10, time.Minute
	if sub, err := subscribe(t.Context(), &b, "a"); err == nil {
		sub.Close()
		t.Error("a certificate of nobody is believed")
	} else if bellhop.CodeOf(err) != bellhop.Unavailable {
		t.Error(err)
	}
	b.CA = filepath.Join(folder, "ca.pem")
	sub, err := subscribe(t.Context(), &b, "a")
	if err != nil {
		t.Fatal(err)
	}
	sub.Close()
}
