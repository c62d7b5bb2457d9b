#!/bin/sh
# Copy to ci/note.sh of the tenants repository.
#
# Writes a note to the merge request, or replaces the one that an earlier pipeline wrote: its first line is the same.
set -eu
file=$1
marker=$(head -n 1 "$file")
notes="$CI_API_V4_URL/projects/$CI_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes"
jq -Rs '{body: .}' "$file" > note.json

call() {
    curl --silent --show-error --fail --header "PRIVATE-TOKEN: $NOTE_TOKEN" "$@"
}

id=''
page=1
while [ -n "$page" ] && [ -z "$id" ]; do
    call --dump-header headers.txt "$notes?per_page=100&page=$page" > notes.json
    id=$(jq -r --arg marker "$marker" '[.[] | select(.body | startswith($marker)) | .id][0] // empty' notes.json)
    page=$(sed -n 's/^x-next-page: *\([0-9]*\).*$/\1/ip' headers.txt)
done
if [ -n "$id" ]; then
    call --request PUT --header 'Content-Type: application/json' --data @note.json "$notes/$id" > /dev/null
else
    call --request POST --header 'Content-Type: application/json' --data @note.json "$notes" > /dev/null
fi
