package script_test

import (
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/executor/shell/script"
)

// TestMessagesNameWhatTheyMean: a message begins with the variable as it stands
// in the text, and calls nothing an argument that is none.
func TestMessagesNameWhatTheyMean(t *testing.T) {
	const file = ", or read it in a script file that the job runs"
	const quote = " in double quotes (in YAML, put a run of one line in single quotes then)"
	for _, c := range []struct{ name, in, want string }{
		{"who asks", "echo open, $BELLHOP_PRINCIPAL", "`$BELLHOP_PRINCIPAL` is split into words and matched against files here; write \"$BELLHOP_PRINCIPAL\"" + quote + file},
		{"in braces", "echo ${BELLHOP_PRINCIPAL}s", "`${BELLHOP_PRINCIPAL}` is split into words and matched against files here; write \"${BELLHOP_PRINCIPAL}\"" + quote + file},
		{"with an operator", "echo ${BELLHOP_PRINCIPAL%%@*}", "`${BELLHOP_PRINCIPAL%%@*}` is split into words and matched against files here; write \"${BELLHOP_PRINCIPAL%%@*}\"" + quote + file},
		{"an argument", "echo $BELLHOP_ARG_x", "`$BELLHOP_ARG_x` is split into words and matched against files here; write \"$BELLHOP_ARG_x\"" + quote + file},
		{"a variable that holds an argument", "a={x}; echo $a", "`$a` is split into words and matched against files here; write \"$a\"" + quote + file},
		{"a substitution", `echo $(echo "$BELLHOP_PRINCIPAL")`, "a value comes out of $(...) here and is split into words and matched against files; write \"$(...)\"" + quote + file},
		{"code", `eval "$BELLHOP_PRINCIPAL"`, "`$BELLHOP_PRINCIPAL` can't be given to eval"},
		{"code behind text", `bash -c "echo $BELLHOP_PRINCIPAL"`, "`$BELLHOP_PRINCIPAL` can be given to bash only"},
		{"a name of a command", `$BELLHOP_PRINCIPAL a`, "`$BELLHOP_PRINCIPAL` "},
		{"arithmetic", "echo $(($BELLHOP_PRINCIPAL + 1))", "`$BELLHOP_PRINCIPAL` "},
		{"arithmetic by name", "echo $((1 + BELLHOP_PRINCIPAL))", "`BELLHOP_PRINCIPAL` "},
		{"a pattern", `case a in "$BELLHOP_PRINCIPAL") ls;; esac`, "`$BELLHOP_PRINCIPAL` can't be a pattern of case"},
		{"within a text that is evaluated", `trap 'echo $BELLHOP_PRINCIPAL' EXIT`, "`$BELLHOP_PRINCIPAL` is split"},
		{"a placeholder", "eval {x}", "{x} can't be given to eval"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := bellhop.JobSource{Script: c.in}
			if strings.Contains(c.in, "{x}") {
				src.Params = []bellhop.Param{{Name: "x"}}
			}
			_, faults := script.Compile(src)
			if len(faults) == 0 || !strings.HasPrefix(faults[0].Message, c.want) {
				t.Errorf("got  %v\nwant %s", faults, c.want)
			}
		})
	}
}
