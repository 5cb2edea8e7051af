package server

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// peerUID asks the kernel which user opened the other end of a connection.
func peerUID(conn net.Conn) (uid int, err error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, errors.New("not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	ctl := raw.Control(func(fd uintptr) { uid, err = credentials(int(fd)) })
	if err = errors.Join(ctl, err); err != nil {
		return 0, err
	}
	return uid, nil
}

func ownedByMe(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid()
}
