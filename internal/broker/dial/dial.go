// Package dial is what the drivers of brokers share on the way to one: who
// Bellhop is there, whose certificates are believed, and errors that may be
// shown.
package dial

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/bellhop-io/bellhop"
)

// Login returns who Bellhop is at a broker: what the configuration says, else
// what stands in the address.
func Login(b *bellhop.Broker, u *url.URL) (user, password string) {
	user, password = u.User.Username(), ""
	password, _ = u.User.Password()
	if b.User != "" {
		user = b.User
	}
	if b.Password != "" {
		password = b.Password
	}
	return user, password
}

// TLS returns what a connection with TLS needs, for the schemes that mean one.
// name is the host whose certificate it must be.
func TLS(b *bellhop.Broker, name string) (*tls.Config, error) {
	c := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	if b.CA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(b.CA)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Unavailable, "ca: the file can't be read: %w", err)
	}
	if c.RootCAs, err = x509.SystemCertPool(); err != nil { // a machine without any
		c.RootCAs = x509.NewCertPool()
	}
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, bellhop.Errorf(bellhop.Unavailable, "ca: %s holds no certificate in PEM form", b.CA)
	}
	return c, nil
}

// Fault makes an error that may be shown of what a client says, which may quote
// what it was given.
func Fault(b *bellhop.Broker, what string, err error) error {
	// The port at this end is another one each time, and says nothing.
	text := regexp.MustCompile(`\S+:\d+->`).ReplaceAllString(err.Error(), "")
	hide := []string{b.URL, b.Password, b.Token}
	urls, bad := bellhop.BrokerURLs(b.Kind, b.URL)
	if bad == nil {
		for _, u := range urls {
			password, _ := u.User.Password()
			hide = append(hide, u.String(), password, url.QueryEscape(password), url.PathEscape(password))
		}
	}
	for _, h := range hide {
		if len(h) > 2 {
			text = strings.ReplaceAll(text, h, "***")
		}
	}
	return &bellhop.Error{Code: bellhop.Unavailable, Message: what + ": " + text, Err: err}
}
