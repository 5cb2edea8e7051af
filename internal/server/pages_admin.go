package server

import (
	"context"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/web/ui"
)

// Verify looks whether the audit trail is as it was written (ui.Trail).
func (p pages) Verify(ctx context.Context, who bellhop.Person) (ui.AuditCheck, error) {
	check, err := p.s.engine.VerifyAudit(ctx, who)
	return ui.AuditCheck(check), err
}
