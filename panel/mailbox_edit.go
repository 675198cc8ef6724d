package panel

import (
	"net/http"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (p *Panel) mailboxEditRoutes() []route {
	return []route{
		{http.MethodPost, "/mailboxes/:address/password", users, p.setMailboxPassword, 0},
		{http.MethodPost, "/mailboxes/:address/quota", users, p.setMailboxQuota, 0},
		{http.MethodPost, "/mailboxes/:address/switches", users, p.setMailboxSwitches, 0},
		{http.MethodPost, "/mailboxes/:address/sessions", users, p.endSessions, 0},
		{http.MethodPost, "/mailboxes/:address/unblock", users, p.unblock, 0},
		{http.MethodPost, "/mailboxes/:address/test", users, p.sendTest, 0},
		{http.MethodPost, "/mailboxes/:address/delete", users, p.deleteMailbox, 0},
	}
}

// setMailboxPassword sets a new password and shows it in the answer.
func (p *Panel) setMailboxPassword(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	address, pw := r.param("address"), f.raw("password")
	return p.showOnce(r, f, func() (string, error) {
		return address, p.Service.SetMailboxPassword(r.ctx(), r.viewer, address, pw)
	}, func(address string, again bool) error {
		page := &connectPage{Again: "once.changed", Done: "mailbox.password.ready"}
		return p.showReady(r, address, pw, again, page)
	}, func(err error) error {
		if err := f.take(err); err != nil {
			return err
		}
		return p.mailboxPage(r, &mailboxForms{Password: f})
	})
}

// setMailboxQuota saves the name and the quotas.
func (p *Panel) setMailboxQuota(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	bytes, messages := f.size("quota"), f.number("messages")
	if !f.failed() {
		address := r.param("address")
		err := p.Service.SetMailboxQuota(r.ctx(), r.viewer, address, bytes, messages)
		if err == nil {
			err = p.Service.RenameMailbox(r.ctx(), r.viewer, address, f.text("name"))
		}
		if err == nil {
			r.notify("mailbox.saved")
			return r.redirect(mailboxPath(address))
		}
		if err := f.take(err); err != nil {
			return err
		}
	}
	return p.mailboxPage(r, &mailboxForms{Quota: f})
}

// setMailboxSwitches sets the three switches: a ticked box is allowed. Who switches something
// off says why, since the owner will be told.
func (p *Panel) setMailboxSwitches(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	sw := service.Switches{LoginOff: !f.on("login"), SendOff: !f.on("send"), ReceiveOff: !f.on("receive"), Reason: f.text("reason")}
	address := r.param("address")
	if (sw.LoginOff || sw.SendOff || sw.ReceiveOff) && sw.Reason == "" {
		f.fail(models.Errorf(models.Invalid, "reason.empty", "The reason is missing.").On("reason"))
		return p.mailboxPage(r, &mailboxForms{Switches: f})
	}
	if err := p.Service.SetMailboxSwitches(r.ctx(), r.viewer, address, sw); err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.mailboxPage(r, &mailboxForms{Switches: f})
	}
	r.notify("switches.saved")
	return r.redirect(mailboxPath(address))
}

func (p *Panel) unblock(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	network, address := f.text("network"), r.param("address")
	if err := p.Service.Unblock(r.ctx(), r.viewer, address, network); err != nil {
		return err
	}
	r.notify("unblocked", "network", network)
	return r.redirect(mailboxPath(address))
}

// sendTest puts a test message into the mailbox.
func (p *Panel) sendTest(r *request) error {
	address := r.param("address")
	if err := p.Service.SendTest(r.ctx(), r.viewer, address, r.lang.Code); err != nil {
		return err
	}
	r.notify("test.sent", "address", unicodeAddress(address))
	return r.redirect(mailboxPath(address) + "/connect")
}

// deleteMailbox puts a mailbox into the bin; the notice has the way back.
func (p *Panel) deleteMailbox(r *request) error {
	address := r.param("address")
	if err := p.Service.DeleteMailbox(r.ctx(), r.viewer, address); err != nil {
		return err
	}
	r.notifyUndo(mailboxPath(address)+"/restore", "mailbox.deleted", "address", unicodeAddress(address))
	return r.redirect("/mailboxes")
}
