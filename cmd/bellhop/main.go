// Command bellhop asks from anywhere, runs anything and loses nothing.
package main

import (
	"os"
	_ "time/tzdata" // a configured time zone is known on every machine

	"github.com/bellhop-io/bellhop/internal/cli"
)

func main() {
	os.Exit(cli.Run(os.Args[1:], cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
