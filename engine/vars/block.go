package vars

import (
	"errors"

	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// blockParser gives gonja's parser our control structures. There is no loader:
// no tag reads a file.
type blockParser struct {
	depth int
}

type tagParser func(b *blockParser, at *tokens.Token, p, args *parser.Parser) (nodes.ControlStructure, error)

func tagTable() map[string]tagParser {
	return map[string]tagParser{
		outputTag: parseOutput, "if": parseIf, "for": parseFor, "set": parseSet, "macro": parseMacro,
		"with": parseWith, "filter": parseFilterTag, "raw": parseRaw,
	}
}

// parseTemplate builds the tree of a whole text.
func parseTemplate(toks []*tokens.Token) (*nodes.Template, error) {
	b := &blockParser{}
	p := parser.NewParser("template", tokens.NewStream(toks), config.New(), nil, b)
	return p.Parse()
}

// Get implements gonja's ControlStructureGetter.
func (b *blockParser) Get(name string) (parser.ControlStructureParser, bool) {
	return func(p, args *parser.Parser) (nodes.ControlStructure, error) {
		at := tagToken(p, args)
		if b.depth++; b.depth > maxDepth {
			return nil, errAt(at, "blocks nested too deeply", "")
		}
		defer func() { b.depth-- }()
		parse, ok := tagTable()[name]
		if !ok {
			return nil, unknownTag(name, at)
		}
		return parse(b, at, p, args)
	}, true
}

// tagToken gives a token of the tag for messages: its first argument, or what
// follows the tag when it has none.
func tagToken(p, args *parser.Parser) *tokens.Token {
	if t := args.Current(); t != nil && t.Type != tokens.EOF {
		return t
	}
	return p.Current()
}

func unknownTag(name string, at *tokens.Token) error {
	switch name {
	case "include", "import", "from", "extends":
		return errAt(at, `"`+name+`" is not supported: a template reads no other file`, "put the text into this template or into a variable")
	case "break", "continue":
		return errAt(at, `"`+name+`" is not supported`, `use "for x in list if condition"`)
	case "endif", "endfor", "endset", "endmacro", "endraw", "endwith", "endfilter", "else", "elif":
		return errAt(at, `"`+name+`" without its beginning`, "")
	}
	var known []string
	for k := range tagTable() {
		if k != outputTag {
			known = append(known, k)
		}
	}
	return errAt(at, `unknown tag "`+name+`"`, nearest(name, known))
}

// inTag parses the arguments of a tag with f and wants nothing after it.
func inTag(args *parser.Parser, f func(p *exprParser)) error {
	p := &exprParser{s: args.Stream()}
	_, err := p.parse(func() nodes.Expression { f(p); p.end(); return nil })
	return err
}

// body reads up to one of the given tags.
func body(at *tokens.Token, p *parser.Parser, ends ...string) (*nodes.Wrapper, *parser.Parser, error) {
	w, args, err := p.WrapUntil(ends...)
	if err == nil {
		return w, args, nil
	}
	var ours *syntaxError
	if errors.As(err, &ours) {
		return nil, nil, ours
	}
	return nil, nil, errAt(at, `no "`+ends[len(ends)-1]+`" for this block`, "")
}

func parseOutput(b *blockParser, at *tokens.Token, p, args *parser.Parser) (nodes.ControlStructure, error) {
	n := &outputNode{at: at}
	return n, inTag(args, func(p *exprParser) {
		if p.s.EOF() {
			panic(errAt(at, "empty {{ }}", ""))
		}
		n.Value = p.tuple()
	})
}

func parseIf(b *blockParser, at *tokens.Token, p, args *parser.Parser) (nodes.ControlStructure, error) {
	n := &ifNode{at: at}
	cond := func(args *parser.Parser) error {
		return inTag(args, func(p *exprParser) { n.Conds = append(n.Conds, p.tuple()) })
	}
	if err := cond(args); err != nil {
		return nil, err
	}
	for {
		w, endArgs, err := body(at, p, "elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		if len(n.Then) < len(n.Conds) {
			n.Then = append(n.Then, w)
		} else {
			n.Else = w
		}
		switch {
		case w.EndTag == "elif" && n.Else == nil:
			err = cond(endArgs)
		default:
			err = inTag(endArgs, func(*exprParser) {})
		}
		if err != nil || w.EndTag == "endif" {
			return n, err
		}
		if n.Else != nil {
			return nil, errAt(at, "a second else in this if", "")
		}
	}
}

func parseFor(b *blockParser, at *tokens.Token, p, args *parser.Parser) (nodes.ControlStructure, error) {
	n := &forNode{at: at}
	err := inTag(args, func(p *exprParser) {
		n.Targets = targets(p)
		p.want(tokens.In, `"in"`)
		n.Over = p.or()
		if p.is(tokens.Comma) {
			t := &nodes.Tuple{Location: p.s.Current(), Val: []nodes.Expression{n.Over}}
			for p.take(tokens.Comma) != nil {
				t.Val = append(t.Val, p.or())
			}
			n.Over = t
		}
		if p.word("if") != nil {
			n.Cond = p.expr()
		}
		if t := p.word("recursive"); t != nil {
			panic(errAt(t, "recursive loops are not supported", ""))
		}
	})
	if err != nil {
		return nil, err
	}
	w, endArgs, err := body(at, p, "else", "endfor")
	if err != nil {
		return nil, err
	}
	n.Body = w
	if w.EndTag == "else" {
		if n.Else, endArgs, err = body(at, p, "endfor"); err != nil {
			return nil, err
		}
	}
	return n, inTag(endArgs, func(*exprParser) {})
}

// targets reads a, b, (c, d) as a flat list of names.
func targets(p *exprParser) (names []string) {
	paren := p.take(tokens.LeftParenthesis) != nil
	for {
		t := p.want(tokens.Name, "a name")
		if _, ok := nameNode(t).(*nodes.Name); !ok || isMagic(t.Val) {
			panic(errAt(t, `"`+t.Val+`" cannot be set`, "choose another name"))
		}
		names = append(names, t.Val)
		if p.take(tokens.Comma) == nil {
			break
		}
	}
	if paren {
		p.want(tokens.RightParenthesis, `")"`)
	}
	return names
}

func parseSet(b *blockParser, at *tokens.Token, p, args *parser.Parser) (nodes.ControlStructure, error) {
	n := &setNode{at: at}
	err := inTag(args, func(p *exprParser) {
		n.Targets = targets(p)
		if p.take(tokens.Dot) != nil {
			n.Attr = p.want(tokens.Name, "a name").Val
		}
		if p.take(tokens.Assign) != nil {
			n.Value = p.tuple()
		} else if !p.s.EOF() || n.Attr != "" || len(n.Targets) > 1 {
			p.fail(`expected "=", found `+p.found(), "")
		}
	})
	if err != nil || n.Value != nil {
		return n, err
	}
	w, endArgs, err := body(at, p, "endset")
	if err != nil {
		return nil, err
	}
	n.Body = w
	return n, inTag(endArgs, func(*exprParser) {})
}

// params reads name=default pairs.
func params(p *exprParser, needValue bool, end tokens.Type) (out []param) {
	for !p.is(end) {
		prm := param{Name: p.want(tokens.Name, "a name").Val}
		if p.take(tokens.Assign) != nil {
			prm.Default = p.expr()
		} else if needValue {
			p.fail(`expected "=", found `+p.found(), "")
		}
		out = append(out, prm)
		if p.take(tokens.Comma) == nil {
			break
		}
	}
	return out
}

func parseMacro(b *blockParser, at *tokens.Token, p, args *parser.Parser) (nodes.ControlStructure, error) {
	n := &macroNode{at: at}
	err := inTag(args, func(p *exprParser) {
		n.Name = p.want(tokens.Name, "the macro's name").Val
		p.want(tokens.LeftParenthesis, `"("`)
		n.Params = params(p, false, tokens.RightParenthesis)
		p.want(tokens.RightParenthesis, `")"`)
	})
	if err != nil {
		return nil, err
	}
	n.Body, err = plainBody(at, p, "endmacro")
	return n, err
}

func parseWith(b *blockParser, at *tokens.Token, p, args *parser.Parser) (nodes.ControlStructure, error) {
	n := &withNode{at: at}
	err := inTag(args, func(p *exprParser) { n.Params = params(p, true, tokens.EOF) })
	if err != nil {
		return nil, err
	}
	n.Body, err = plainBody(at, p, "endwith")
	return n, err
}

func parseFilterTag(b *blockParser, at *tokens.Token, p, args *parser.Parser) (nodes.ControlStructure, error) {
	n := &filterNode{at: at}
	err := inTag(args, func(p *exprParser) {
		n.Value = p.filter(&bodyNode{at: at})
		n.Value = p.filters(n.Value)
	})
	if err != nil {
		return nil, err
	}
	n.Body, err = plainBody(at, p, "endfilter")
	return n, err
}

func parseRaw(b *blockParser, at *tokens.Token, p, args *parser.Parser) (nodes.ControlStructure, error) {
	w, err := plainBody(at, p, "endraw")
	if err != nil {
		return nil, err
	}
	n := &rawNode{at: at}
	for _, c := range w.Nodes {
		if d, ok := c.(*nodes.Data); ok {
			n.Text += d.Data.Val
		}
	}
	return n, nil
}

func plainBody(at *tokens.Token, p *parser.Parser, end string) (*nodes.Wrapper, error) {
	w, args, err := body(at, p, end)
	if err != nil {
		return nil, err
	}
	return w, inTag(args, func(*exprParser) {})
}
