package source

// ByHand says that an edit of a file cannot be made with certainty, so that
// the text was left as it is, and what a person has to do instead.
type ByHand struct {
	Pos Pos    // as far as known
	Why string // lower case, no full stop
	Do  string // the edit to make, for printing; may have several lines
}

// Error is the reason, and the edit on the lines below.
func (e *ByHand) Error() string {
	s := e.Why
	if p := e.Pos.String(); p != "" {
		s = p + ": " + s
	}
	if e.Do != "" {
		s += "; by hand: " + e.Do
	}
	return s
}
