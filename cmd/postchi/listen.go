package main

import (
	"errors"
	"net"
	"strings"
	"syscall"

	"github.com/postchi/postchi/models"
)

// bound are the open listeners of each service.
type bound map[string][]net.Listener

// listen opens every configured address, before the rights of root are given up. All that
// fail are reported at once.
func listen(l Listen) (bound, error) {
	open := bound{}
	var errs []error
	for name, addrs := range l.all() {
		for _, addr := range addrs {
			ln, err := net.Listen("tcp", addr)
			if err != nil {
				errs = append(errs, cannotListen(name, addr, err))
				continue
			}
			open[name] = append(open[name], ln)
		}
	}
	if len(errs) > 0 {
		open.close()
		return nil, errors.Join(errs...)
	}
	return open, nil
}

func cannotListen(name, addr string, err error) error {
	env := "POSTCHI_LISTEN_" + strings.ToUpper(name)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return models.Errorf(models.Conflict, "listen.busy", "%s: %s is in use by another program. Stop that one, or listen elsewhere: listen.%s in the configuration, or %s in the environment (empty = off).", name, addr, name, env)
	case errors.Is(err, syscall.EACCES):
		return models.Errorf(models.Denied, "listen.rights", "%s: %s needs the rights of root (or CAP_NET_BIND_SERVICE). Start as root, or listen elsewhere: listen.%s, %s.", name, addr, name, env)
	}
	return models.Errorf(models.Invalid, "listen.failed", "%s: cannot listen on %s: %v", name, addr, err)
}

func (b bound) close() {
	for _, all := range b {
		for _, ln := range all {
			ln.Close()
		}
	}
}

// port is the first listener's port of a service; 0 = it is off.
func (b bound) port(name string) int {
	if len(b[name]) == 0 {
		return 0
	}
	return b[name][0].Addr().(*net.TCPAddr).Port
}
