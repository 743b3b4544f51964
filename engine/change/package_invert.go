package change

import "context"

func (p *Package) invert(context.Context, Host, Keeper) ([]Change, error) { return nil, nil }

func (p *Package) refine(context.Context, Host) (*Package, error) { return p, nil }
