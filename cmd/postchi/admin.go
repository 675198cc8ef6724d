package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/password"
	"github.com/postchi/postchi/panel/service"
)

// devAdmin is the user that the first start of --dev makes.
const devAdmin = "admin@localhost"

// firstAdmin makes an administrator while there is none: of the environment, or under --dev
// with a password of its own, which welcome prints.
func (s *server) firstAdmin(ctx context.Context) error {
	has, err := s.service.HasAdmin(ctx)
	if err != nil || has {
		return err
	}
	email, pass := os.Getenv("POSTCHI_ADMIN_EMAIL"), os.Getenv("POSTCHI_ADMIN_PASSWORD")
	switch {
	case email != "" && pass != "":
	case s.config.Dev:
		email, pass = devAdmin, password.Generate()
		s.firstPassword = pass
	default:
		s.log.Warn("there is no administrator yet; run: postchi user add you@example.net --role admin")
		return nil
	}
	_, err = s.service.AddUser(ctx, service.Console(), service.NewUser{Email: email, Role: models.RoleAdmin, Password: pass})
	if err != nil {
		return fmt.Errorf("make the first administrator: %w", err)
	}
	s.log.Info("administrator made", "email", email)
	return nil
}

// welcome says under --dev where everything is; the password is printed once, at the first start.
func (s *server) welcome(w io.Writer) {
	if !s.config.Dev {
		return
	}
	fmt.Fprintf(w, "\nPostchi is running.\n\n  Panel     %s\n", s.publicURL)
	if s.firstPassword != "" {
		fmt.Fprintf(w, "  User      %s\n  Password  %s\n\n  The password is shown only now and is valid until it is changed.\n", devAdmin, s.firstPassword)
	} else {
		fmt.Fprintf(w, "\n  The data of %s were kept. To set the password of an administrator again:\n  postchi user passwd %s --dev\n", shortPath(s.config.DataDir), devAdmin)
	}
	fmt.Fprintf(w, "  Mail clients must trust %s. Stop with Ctrl-C.\n\n", shortPath(s.config.DataDir)+"/ca.pem")
}
