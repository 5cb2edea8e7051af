package cli

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/secret"
	"github.com/bellhop-io/bellhop/internal/web/api"
)

// maxExport is the largest export that is read, in bytes.
const maxExport = 16 << 20

func (a *app) secretExport() *cobra.Command {
	var to string
	var pass bool
	c := &cobra.Command{
		Use:   "export [NAME...] --to KEY | --passphrase",
		Short: "Write secrets to stdout, sealed by age",
		Long: "Write secrets to stdout, all or those that are named, sealed by age\n" +
			"(https://age-encryption.org) for a public key, or with a passphrase that is asked\n" +
			"for, or read from stdin. `age` opens such a file as well.",
		Args: cobra.ArbitraryArgs,
	}
	c.Flags().StringVar(&to, "to", "", "the public `KEY` (age1...) of who may open it")
	c.Flags().BoolVar(&pass, "passphrase", false, "seal it with a passphrase")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if (to == "") != pass {
			return usage(cmd, bellhop.Errorf(bellhop.Invalid, "whom it is for is missing: either --to age1..., or --passphrase"))
		}
		return a.secrets(cmd.Context(), func(s api.Secrets) error {
			file, err := a.export(cmd.Context(), s, args, to)
			if err == nil {
				_, err = a.Out.Write(file)
			}
			return err
		})
	}
	return c
}

// export seals secrets for a public key, or with a passphrase. Even then values
// leave the server for a key alone: one that is made for this.
func (a *app) export(ctx context.Context, s api.Secrets, names []string, to string) ([]byte, error) {
	if to != "" {
		return s.ExportSecrets(ctx, names, to)
	}
	pass, err := a.readValue("a passphrase: ")
	if err != nil {
		return nil, err
	}
	if len(pass) == 0 {
		return nil, bellhop.Errorf(bellhop.Invalid, "the passphrase is empty")
	}
	if terminal(a.In) {
		again, err := a.readHidden("once more: ")
		if err != nil {
			return nil, err
		}
		if string(again) != string(pass) {
			return nil, bellhop.Errorf(bellhop.Invalid, "the second passphrase is another one; nothing was written")
		}
	}
	id, public, err := secret.NewIdentity()
	if err != nil {
		return nil, err
	}
	file, err := s.ExportSecrets(ctx, names, public)
	if err != nil {
		return nil, err
	}
	entries, err := secret.Decode(file, id)
	if err != nil {
		return nil, err
	}
	recipient, err := secret.ForPassphrase(string(pass))
	if err != nil {
		return nil, err
	}
	return secret.Encode(entries, recipient)
}

func (a *app) secretImport() *cobra.Command {
	var identity string
	var replace bool
	c := &cobra.Command{
		Use:   "import FILE [--identity FILE] [--replace]",
		Short: "Read secrets that were exported",
		Long: "Read secrets that were exported. A passphrase is asked for, or read from stdin;\n" +
			"--identity names the file of the private key, as age-keygen writes it.",
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringVarP(&identity, "identity", "i", "", "`FILE` of the private key")
	c.Flags().BoolVar(&replace, "replace", false, "replace secrets that are there already")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		entries, err := a.decode(args[0], identity)
		if err != nil {
			return err
		}
		list := make([]api.SecretEntry, len(entries))
		for i, e := range entries {
			list[i] = api.SecretEntry(e)
		}
		return a.secrets(cmd.Context(), func(s api.Secrets) error {
			warnings, err := s.ImportSecrets(cmd.Context(), list, replace)
			a.warn(warnings)
			if err == nil {
				a.tell("%s imported", count(len(list), "secret"))
			}
			return err
		})
	}
	return c
}

// decode opens an export. It is done here, so that no private key leaves this
// process.
func (a *app) decode(path, identity string) ([]secret.Entry, error) {
	file, err := readSome(path)
	if err != nil {
		return nil, err
	}
	if secret.Passworded(file) {
		pass, err := a.readValue("its passphrase: ")
		if err != nil {
			return nil, err
		}
		id, err := secret.WithPassphrase(string(pass))
		if err != nil {
			return nil, bellhop.Errorf(bellhop.Invalid, "the passphrase is empty")
		}
		return secret.Decode(file, id)
	}
	if identity == "" {
		return nil, bellhop.Errorf(bellhop.Invalid, "%s is sealed for a public key; name the file of the private one: --identity FILE", path)
	}
	f, err := os.Open(identity)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.NotFound, "the identity can't be read: %w", err)
	}
	defer f.Close()
	ids, err := secret.ParseIdentities(f)
	if err != nil {
		return nil, err
	}
	return secret.Decode(file, ids...)
}

func readSome(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, bellhop.Errorf(bellhop.NotFound, "the export can't be read: %w", err)
	}
	defer f.Close()
	file, err := io.ReadAll(io.LimitReader(f, maxExport))
	if err != nil {
		return nil, bellhop.Errorf(bellhop.Unavailable, "the export can't be read: %w", err)
	}
	return file, nil
}
