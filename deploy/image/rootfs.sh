#!/bin/sh
# Puts the image's file system together: the binary, without its debug information, and the libraries that it asks for.
#
#   rootfs.sh BINARY FOLDER
set -eu
binary=$1
root=$2
mkdir -p "$root/usr/local/bin" "$root/etc" "$root/var/lib/carillon"
strip --strip-debug -o "$root/usr/local/bin/carillon" "$binary"
# Lines of ldd are "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)" and "/lib64/ld-linux-x86-64.so.2 (0x...)".
ldd "$binary" | grep -o '/[^ ]*' | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
echo 'carillon:x:65532:65532:carillon:/var/lib/carillon:/sbin/nologin' > "$root/etc/passwd"
echo 'carillon:x:65532:' > "$root/etc/group"
# COPY gives everything to root, and some platforms choose the user: whoever it is may keep data.
chmod 1777 "$root/var/lib/carillon"
