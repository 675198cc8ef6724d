package panel

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/postchi/postchi/models"
)

// formToken is the field that names one showing of a form whose answer shows a password.
const formToken = "form_token"

// newFormToken returns a name for one showing of a form.
func newFormToken() string { return rand.Text() }

// once keeps a form from being carried out twice: a reload of its answer, or a second click,
// finds the first. The session remembers it for longer and for other processes; this is
// what tells two requests at the same moment apart.
type once struct {
	now func() time.Time
	mu  sync.Mutex
	all map[string]*turn
}

// turn is one carrying out of a form.
type turn struct {
	began time.Time
	done  chan struct{}
	what  string // what was made; "" = it failed
}

const (
	onceLife = 10 * time.Minute
	onceMax  = 4096
)

func newOnce(now func() time.Time) *once { return &once{now: now, all: map[string]*turn{}} }

// begin starts the turn of a form. If it is the first, end must be called. Otherwise what the
// first one made is returned, and whether it was still under way: then nobody has seen its
// answer yet. If the first one failed, the caller becomes the first.
func (o *once) begin(user models.ID, token string) (end func(what string), what string, together bool) {
	key := user.String() + " " + token
	for {
		o.mu.Lock()
		t, ok := o.all[key]
		if !ok {
			o.prune()
			t = &turn{began: o.now(), done: make(chan struct{})}
			o.all[key] = t
			o.mu.Unlock()
			return func(what string) { o.end(key, t, what) }, "", false
		}
		o.mu.Unlock()
		select {
		case <-t.done:
		default:
			together = true
			<-t.done
		}
		if t.what != "" {
			return nil, t.what, together
		}
	}
}

func (o *once) end(key string, t *turn, what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.what = what
	if what == "" {
		delete(o.all, key)
	}
	close(t.done)
}

// prune forgets what is old; when there is still too much, anything that is over.
func (o *once) prune() {
	if len(o.all) < onceMax/2 {
		return
	}
	limit := o.now().Add(-onceLife)
	for key, t := range o.all {
		if t.what != "" && (t.began.Before(limit) || len(o.all) >= onceMax) {
			delete(o.all, key)
		}
	}
}

// showOnce carries out a form whose answer shows a password. do makes the thing and names it;
// show answers with it, again being true when this showing of the form was carried out
// before and so no password may be shown; refuse answers an error of do.
func (p *Panel) showOnce(r *request, f *form, do func() (string, error), show func(what string, again bool) error, refuse func(error) error) error {
	token := f.text(formToken)
	if len(token) > 100 {
		return errForm()
	}
	if what, ok := r.sess.Done(token); ok {
		return show(what, true)
	}
	if token == "" {
		token = newFormToken()
	}
	end, what, together := p.once.begin(r.user.ID, token)
	if end == nil {
		return show(what, !together)
	}
	what, err := func() (what string, err error) {
		defer func() { end(what) }() // also when do panics: nobody waits for ever
		what, err = do()
		if err != nil {
			what = ""
		}
		return what, err
	}()
	if err != nil {
		return refuse(err)
	}
	r.sess.SetDone(token, what)
	return show(what, false)
}
