package shell

import "syscall"

// ownGroup puts a process into a group of its own and ties its life to this
// process's: the kernel kills it when the thread that started it goes, which
// in Go is when the process does.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
