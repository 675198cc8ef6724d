package panel

import (
	"strconv"

	"github.com/postchi/postchi/models"
)

// liveView is one open connection of a mailbox.
type liveView struct {
	ID                        int64
	Since                     models.Micros
	Protocol, Network, Client string
}

// sessionsView is what a mailbox's page tells of its clients.
type sessionsView struct {
	Live   []liveView
	Others bool // other servers have connections too
	Uses   []useView
}

// useView is when a client was last here.
type useView struct {
	At               models.Micros
	Protocol, Client string
}

// maxUses is how many clients a page shows.
const maxUses = 12

func (r *request) sessions(address string) (view sessionsView, err error) {
	live, err := r.p.Service.LiveSessions(r.ctx(), r.viewer, address)
	if err != nil {
		return view, err
	}
	view.Others = live.Others
	for _, l := range live.Sessions {
		view.Live = append(view.Live, liveView{l.ID, l.Since, string(l.Protocol), l.Network, clientWords(l.Protocol, l.Client)})
	}
	uses, err := r.p.Service.LastUses(r.ctx(), r.viewer, address, maxUses)
	for _, u := range uses {
		view.Uses = append(view.Uses, useView{u.At, string(u.Protocol), clientWords(u.Protocol, u.Client)})
	}
	return view, err
}

// endSessions ends one connection, or without a number all.
func (p *Panel) endSessions(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	address, number := r.param("address"), f.text("session")
	if number == "" {
		if err := p.Service.LogOut(r.ctx(), r.viewer, address); err != nil {
			return err
		}
		r.notify("live.ended.all")
		return r.redirect(mailboxPath(address))
	}
	// What is no number is no connection of this mailbox, like one that is gone.
	id, _ := strconv.ParseInt(number, 10, 64)
	if err := p.Service.EndSession(r.ctx(), r.viewer, address, id); err != nil {
		return err
	}
	r.notify("live.ended")
	return r.redirect(mailboxPath(address))
}
