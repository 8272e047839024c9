#!/bin/sh
# In the guest: runs what the host sends over the port, one at a time. A line `ID BASE64-OF-SCRIPT` is answered by `ID EXIT-CODE BASE64-OF-STDOUT BASE64-OF-STDERR`.
port=/dev/virtio-ports/skiff.commands
dir=$(mktemp -d)
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec 3<>"$port" || exit 1
echo "hello $(cat /proc/sys/kernel/random/boot_id)" >&3
while read -r id script <&3; do
  printf '%s' "$script" | base64 -d > "$dir/script"
  sh "$dir/script" > "$dir/out" 2> "$dir/err" < /dev/null 3>&-
  echo "$id $? $(base64 -w0 "$dir/out") $(base64 -w0 "$dir/err")" >&3
done
