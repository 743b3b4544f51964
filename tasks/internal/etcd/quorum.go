package etcd

import "fmt"

// Member is one member of a cluster with what is known of its health.
type Member struct {
	ID         uint64
	Name       string // "" of one that was added and has not started yet
	Learner    bool
	Healthy    bool
	PeerURLs   []string
	ClientURLs []string
}

// Label is the member's name, or its ID where it has none yet.
func (m Member) Label() string {
	if m.Name != "" {
		return m.Name
	}
	return fmt.Sprintf("%x", m.ID)
}

// Sum counts votes.
type Sum struct{ Voters, Healthy, Learners int }

// Count sums up a member list.
func Count(members []Member) Sum {
	var s Sum
	for _, m := range members {
		switch {
		case m.Learner:
			s.Learners++
		case m.Healthy:
			s.Voters++
			s.Healthy++
		default:
			s.Voters++
		}
	}
	return s
}

// Needed is the majority of the voters.
func (s Sum) Needed() int { return s.Voters/2 + 1 }

// Quorum tells whether the cluster can decide anything.
func (s Sum) Quorum() bool { return s.Voters > 0 && s.Healthy >= s.Needed() }

// Spare is how many healthy voters may still go; less than 0 without a quorum.
func (s Sum) Spare() int { return s.Healthy - s.Needed() }

// String is "3 voters, 2 healthy", with the learners where there are any.
func (s Sum) String() string {
	text := fmt.Sprintf("%s, %d healthy", plural(s.Voters, "voter"), s.Healthy)
	if s.Learners > 0 {
		text += ", " + plural(s.Learners, "learner")
	}
	return text
}

// Even warns of an even number of voters; "" for an odd one.
func (s Sum) Even() string {
	if s.Voters == 0 || s.Voters%2 == 1 {
		return ""
	}
	return fmt.Sprintf("%d voters need %d: they survive the loss of %d, as %d do", s.Voters, s.Needed(), s.Voters-s.Needed(), s.Voters-1)
}

// Verdict is whether a step leaves the quorum, with its arithmetic in one line.
type Verdict struct {
	OK    bool
	Text  string // "3 voters, 2 healthy; stopping etcd-2 leaves 1, 2 are needed"
	After Sum
}

// Stop weighs a stop or a restart of m. One that is down already costs nothing.
func Stop(members []Member, m Member) Verdict { return Without(members, m, "stopping") }

// Without is Stop with another word for it: "rebooting the host of".
func Without(members []Member, m Member, doing string) Verdict {
	now := Count(members)
	after := now
	if !m.Learner && m.Healthy {
		after.Healthy--
	}
	return now.verdict(after, after == now || after.Quorum(), doing+" "+m.Label())
}

// Remove weighs taking m out of the cluster, which a quorum must agree to.
func Remove(members []Member, m Member) Verdict {
	now := Count(members)
	after := now
	switch {
	case m.Learner:
		after.Learners--
	case m.Healthy:
		after.Voters--
		after.Healthy--
	default:
		after.Voters--
	}
	if after.Voters < 1 {
		return Verdict{Text: fmt.Sprintf("%s; %s is the last voter", now, m.Label()), After: after}
	}
	return now.verdict(after, now.Quorum() && after.Quorum(), "removing "+m.Label())
}

// AddVoter weighs a new member with a vote, before it has started: it counts
// as a voter at once and as healthy only when it runs.
func AddVoter(members []Member, name string) Verdict {
	now := Count(members)
	after := now
	after.Voters++
	return now.verdict(after, now.Quorum() && after.Quorum(), "adding "+name+" as a voter")
}

// AddLearner weighs a new member without a vote. etcd takes one at a time.
func AddLearner(members []Member, name string) Verdict {
	now := Count(members)
	after := now
	after.Learners++
	v := now.verdict(after, now.Quorum(), "adding "+name+" as a learner")
	if v.OK && now.Learners > 0 {
		v.OK, v.Text = false, fmt.Sprintf("%s; etcd takes one learner at a time", now)
	}
	return v
}

// Promote weighs giving the learner m its vote.
func Promote(members []Member, m Member) Verdict {
	now := Count(members)
	after := now
	after.Learners--
	after.Voters++
	if m.Healthy {
		after.Healthy++
	}
	return now.verdict(after, m.Learner && now.Quorum() && after.Quorum(), "promoting "+m.Label())
}

func (s Sum) verdict(after Sum, ok bool, doing string) Verdict {
	v := Verdict{OK: ok, After: after}
	if !s.Quorum() {
		v.Text = fmt.Sprintf("%s, %s needed: the quorum is lost already", s, are(s.Needed()))
		if ok {
			v.Text += fmt.Sprintf("; %s changes nothing", doing)
		}
		return v
	}
	v.Text = fmt.Sprintf("%s; %s leaves %d, %s needed", s, doing, after.Healthy, are(after.Needed()))
	return v
}

func are(n int) string {
	if n == 1 {
		return "1 is"
	}
	return fmt.Sprintf("%d are", n)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
