package auth

import "time"

// Limits say how many wrong passwords are borne. A zero field means its default.
type Limits struct {
	Wrong        int // different wrong passwords for an account from one network, then a block; default 10
	WrongNetwork int // the same over all names of a network; default 30

	FirstBlock time.Duration // doubled for each block soon after another; default 5 min
	Block      time.Duration // longest block; default and most 15 min

	Same          time.Duration // the same wrong password again within this time is not counted again; default 60 s, each repetition renews it
	Forgive       time.Duration // one failure of an account and network is forgotten each; default 10 min
	ForgiveOfMany time.Duration // one failure of a network is forgotten each; default 2 min

	Free       int           // failures after which attempts begin to wait; default 3
	FirstDelay time.Duration // doubled with each further failure; default 1 s, negative = no delays
	Delay      time.Duration // longest delay; default 15 s
	Delayed    int           // attempts that wait at once, further ones are refused; default 1,000, and 20 for each network

	Networks int // networks and pairs of account and network remembered, each; default 100,000
}

// delayedPerNetwork is how many attempts of one network may wait out a delay at once.
const delayedPerNetwork = 20

func (l Limits) withDefaults() Limits {
	num := func(n *int, to int) {
		if *n == 0 {
			*n = to
		}
	}
	dur := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	num(&l.Wrong, 10)
	num(&l.WrongNetwork, 30)
	num(&l.Free, 3)
	num(&l.Delayed, 1000)
	num(&l.Networks, 100_000)
	dur(&l.FirstBlock, 5*time.Minute)
	dur(&l.Block, 15*time.Minute)
	l.Block = min(l.Block, 15*time.Minute)
	l.FirstBlock = min(l.FirstBlock, l.Block)
	dur(&l.Same, time.Minute)
	dur(&l.Forgive, 10*time.Minute)
	dur(&l.ForgiveOfMany, 2*time.Minute)
	dur(&l.FirstDelay, time.Second)
	dur(&l.Delay, 15*time.Second)
	return l
}

// delay returns how long an attempt waits after a number of failures.
func (l *Limits) delay(failures int) time.Duration {
	if failures < l.Free || l.FirstDelay < 0 {
		return 0
	}
	if over := failures - l.Free; over < 20 {
		return min(l.FirstDelay<<over, l.Delay)
	}
	return l.Delay
}
