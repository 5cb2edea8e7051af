package sqlite

import (
	"fmt"
	"time"

	"github.com/bellhop-io/bellhop"
)

// By PRIMARY KEY each.
const sqlRunAsks = `SELECT 0 n, r.withdrawn, p.name, r.session, r.ask FROM run r JOIN principal p ON p.id = r.principal WHERE r.id = ?1
  UNION ALL SELECT a.n, a.withdrawn, p.name, a.session, a.ask FROM ask a JOIN principal p ON p.id = a.principal WHERE a.run_id = ?1 ORDER BY 1`

// collectAsks returns a row function that appends asks to out.
func collectAsks(out *[]bellhop.Ask) func(row) error {
	return func(r row) error {
		a := bellhop.Ask{N: int(r.int(0)), Withdrawn: r.int(1) != 0, Principal: r.text(2)}
		if err := unpackAsk(r.blob(4), &a); err != nil {
			return err
		}
		a.Origin.Session = r.text(3)
		*out = append(*out, a)
		return nil
	}
}

// followUp submits one of the runs that an ended run brings, with its asks.
func (t *tx) followUp(ended *entry, p *prepared, index int, now time.Time) error {
	asks, err := t.standing(ended)
	if err != nil {
		return err
	}
	var target *entry
	if p.merge != (hash{}) {
		if target = t.q.merge[p.merge]; target != nil && target.asks+int64(len(asks)) > maxAsks {
			target = nil
			if err := t.seal(p.merge); err != nil {
				return err
			}
		}
	}
	for i := range asks {
		a := &asks[i]
		a.Key, a.At, a.Withdrawn = fmt.Sprintf("then:%s/%d", bellhop.RunID(ended.id), index), now, false
		ask := prepareAsk(a)
		if target != nil {
			err = t.merge(target, p, &ask)
		} else {
			target, err = t.create(p, &ask, bellhop.RunID(ended.id), micros(now))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// standing returns the asks of a run that are not withdrawn, or all of them
// when all are.
func (t *tx) standing(e *entry) ([]bellhop.Ask, error) {
	var all, standing []bellhop.Ask
	if err := t.query(sqlRunAsks, collectAsks(&all), e.id); err != nil {
		return nil, err
	}
	for _, a := range all {
		if !a.Withdrawn {
			standing = append(standing, a)
		}
	}
	if len(standing) == 0 {
		standing = all
	}
	return standing, nil
}
