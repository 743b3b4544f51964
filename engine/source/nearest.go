package source

// Nearest returns the candidate that a person most likely meant by name, or
// "" when none is close: at most a third of the letters differ, counting a
// swap of two neighbours as one (optimal string alignment distance).
func Nearest(name string, candidates []string) string {
	best, bestDist := "", len([]rune(name))/3+1
	for _, c := range candidates {
		if d := distance([]rune(name), []rune(c), bestDist); d < bestDist || d == bestDist && best == "" && d <= len([]rune(name))/3 {
			best, bestDist = c, d
		}
	}
	return best
}

// DidYouMean is the hint for an unknown name: `did you mean "x"?`, or "".
func DidYouMean(name string, candidates []string) string {
	if n := Nearest(name, candidates); n != "" {
		return `did you mean "` + n + `"?`
	}
	return ""
}

func distance(a, b []rune, limit int) int {
	if abs(len(a)-len(b)) > limit {
		return limit + 1
	}
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
