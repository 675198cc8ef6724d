package panel

// own is the first page of a mailbox's owner: what the mailbox holds and how mail programs are
// set up, without a password.
func (p *Panel) own(r *request) error {
	row, err := p.Service.Mailbox(r.ctx(), r.viewer, r.user.Email)
	if err != nil {
		return err
	}
	return p.connectPage(r, row, &connectPage{Own: true})
}
