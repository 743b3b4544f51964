package engine

import "github.com/dayops/dayops/engine/playbook"

// batchSizes cuts n hosts by `serial`: each entry is the size of one batch, the
// last one repeats. No serial is one batch. A percentage counts from n, is
// rounded down and is at least one host.
func batchSizes(n int, serial []playbook.Amount) []int {
	if n == 0 {
		return nil
	}
	if len(serial) == 0 {
		return []int{n}
	}
	var sizes []int
	for i := 0; n > 0; i++ {
		a := serial[min(i, len(serial)-1)]
		size := a.Count
		if a.Percent > 0 {
			size = max(1, int(float64(n+sum(sizes))*a.Percent/100))
		}
		if size <= 0 || size > n {
			size = n
		}
		sizes = append(sizes, size)
		n -= size
	}
	return sizes
}

func sum(ns []int) int {
	t := 0
	for _, n := range ns {
		t += n
	}
	return t
}

// overBudget tells whether a play must stop: more than percent of the batch's
// hosts failed or cannot be reached (Ansible's max_fail_percentage: it must be
// exceeded, not met), or any did under any_errors_fatal, or all did.
func overBudget(play *playbook.Play, batch, lost int) bool {
	switch {
	case lost == 0:
		return false
	case play.AnyErrorsFatal, lost >= batch:
		return true
	case play.MaxFailPercent != nil:
		return float64(lost)*100 > *play.MaxFailPercent*float64(batch)
	}
	return false
}
