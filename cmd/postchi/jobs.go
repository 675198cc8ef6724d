package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/postchi/postchi/models"
)

// jobEvery is the pause between two rounds of cleaning up.
const jobEvery = 10 * time.Minute

const (
	keepSending = 10 * 24 * time.Hour // a bounce is counted with the hour its message was accepted in
	keepReplied = 8 * 24 * time.Hour  // nobody is answered twice in 7 days
)

// jobs cleans up until ctx ends: the bin, old records, dead blobs.
func (s *server) jobs(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { s.blobs.Run(ctx) })
	all.Go(func() { s.damage.run(ctx) })
	all.Go(func() { s.certs.Run(ctx) })
	if s.config.DNS.Checks {
		all.Go(func() { s.watchDNS(ctx) })
	}
	all.Go(func() {
		tick := time.NewTicker(jobEvery)
		defer tick.Stop()
		for {
			s.clean(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	all.Go(func() { s.sendLinks(ctx) })
	all.Go(func() { s.digestEvents(ctx) })
	all.Wait()
}

// digestEvery is the pause between two looks whether there are events for another digest.
const digestEvery = 30 * time.Second

// digestEvents makes digests of events as they come, by which they are searched.
func (s *server) digestEvents(ctx context.Context) {
	tick := time.NewTicker(digestEvery)
	defer tick.Stop()
	for {
		_, err := pieces(func() (int64, error) {
			if ctx.Err() != nil {
				return 0, nil
			}
			return s.store.DigestEvents(ctx)
		})
		if err != nil && ctx.Err() == nil {
			s.log.Warn("job failed", "job", "digest events", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// clean runs each job once; one that fails is tried again in the next round.
func (s *server) clean(ctx context.Context) {
	now := s.db.Now()
	ago := func(d time.Duration) models.Micros { return models.At(now.Add(-d)) }
	for _, job := range []struct {
		name string
		run  func() (int64, error)
	}{
		{"purge bin", func() (int64, error) { n, err := s.service.PurgeExpired(ctx); return int64(n), err }},
		{"prune events", func() (int64, error) {
			return pieces(func() (int64, error) { return s.store.PruneEvents(ctx, ago(s.config.Keep.Events)) })
		}},
		{"prune log-ins", func() (int64, error) {
			return pieces(func() (int64, error) { return s.store.PruneLogins(ctx, ago(s.config.Keep.Logins)) })
		}},
		{"prune blocks", func() (int64, error) { return 0, s.store.PruneBlocks(ctx, models.At(now)) }},
		{"make DKIM keys", func() (int64, error) { return pieces(func() (int64, error) { return s.keys.Complete(ctx) }) }},
		{"renew DKIM keys", func() (int64, error) { return pieces(func() (int64, error) { return s.keys.Renew(ctx) }) }},
		{"retire DKIM keys", func() (int64, error) { return pieces(func() (int64, error) { return s.keys.Retire(ctx) }) }},
		{"prune sending counters", func() (int64, error) {
			return pieces(func() (int64, error) { return s.store.PruneSending(ctx, ago(keepSending)) })
		}},
		{"prune auto-replies", func() (int64, error) {
			return pieces(func() (int64, error) { return s.store.PruneReplied(ctx, ago(keepReplied)) })
		}},
		{"sweep sessions", func() (int64, error) { return 0, s.store.Sessions(nil).Sweep(ctx) }},
		{"maintain mail store", func() (int64, error) { return 0, s.mail.Maintain(ctx) }},
	} {
		if ctx.Err() != nil {
			return
		}
		n, err := job.run()
		switch {
		case err != nil && ctx.Err() == nil:
			s.log.Warn("job failed", "job", job.name, "err", err)
		case n > 0:
			s.log.Info("job done", "job", job.name, "rows", n)
		default:
			s.log.Log(ctx, slog.LevelDebug, "job done", "job", job.name)
		}
	}
}

// pieces repeats a job that does its work in pieces until nothing is left.
func pieces(run func() (int64, error)) (total int64, err error) {
	for {
		n, err := run()
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

// linksEvery is how long a link waits at most that a command has asked for, in the worst case.
const linksEvery = 5 * time.Second

// sendLinks mails the links that commands have asked for, or that could not be mailed before.
func (s *server) sendLinks(ctx context.Context) {
	tick := time.NewTicker(linksEvery)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, err := s.service.SendLinks(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.log.Warn("links not mailed", "err", err) // once, not every few seconds
		}
		failing = err != nil
	}
}
