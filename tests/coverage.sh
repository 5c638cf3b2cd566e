#!/bin/sh
# Prints how much of TR-181's profiles a data model has: profile, parameters, backed, percentage; deleted entries are required of nobody.
#   tests/coverage.sh PROFILES.tsv [DUMP]
# PROFILES.tsv: profile, path, requirement, version, status. DUMP: what `rcwmpd dump-model` printed; without it the program is asked.
set -eu

profiles=${1:?"the table of profiles"}
dump=${2:-}
[ -n "$dump" ] || { dump=$(mktemp); trap 'rm -f "$dump"' EXIT; rcwmpd dump-model >"$dump"; }

awk -F '\t' '
    NR == FNR { access[$1] = $4; next }
    FNR == 1 || $2 ~ /\.$/ || $2 !~ /^Device\./ || $5 == "deleted" { next }
    {
        split($1, part, ":")
        if (part[2] + 0 < newest[part[1]] + 0) next
        if (part[2] + 0 > newest[part[1]] + 0) { newest[part[1]] = part[2]; total[part[1]] = backed[part[1]] = 0 }
        total[part[1]]++
        # What the profile wants written and cannot be is not counted.
        if ($2 in access && ($3 != "readWrite" || access[$2] == "readWrite")) backed[part[1]]++
    }
    END {
        for (name in total)
            printf "%s:%s\t%d\t%d\t%d %%\n", name, newest[name], total[name], backed[name], backed[name] * 100 / total[name]
    }
' "$dump" "$profiles" | LC_ALL=C sort
