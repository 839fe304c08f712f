"""How good a translation is: metrics, real pairs, the lookup-table baseline, figures."""
