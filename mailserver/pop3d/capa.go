package pop3d

// capa answers CAPA (RFC 2449, section 5). What is announced is what works at this moment:
// USER and SASL only under TLS, STLS only before it.
func (s *session) capa(arg string) error {
	if err := noArg(arg); err != nil {
		return err
	}
	s.out.WriteString("+OK Capability list follows\r\n" +
		"TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n")
	switch {
	case s.tls:
		s.out.WriteString("USER\r\n")
		if len(s.server.config.Mechanisms) > 0 {
			s.out.WriteString("SASL")
			for _, m := range s.server.config.Mechanisms {
				s.out.WriteString(" " + m.Name)
			}
			s.out.WriteString("\r\n")
		}
	case s.server.config.TLS != nil:
		s.out.WriteString("STLS\r\n")
	}
	s.out.WriteString("IMPLEMENTATION Postchi\r\n.\r\n")
	return nil
}
