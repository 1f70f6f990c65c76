#!/usr/bin/env bash
# Runs the tests of the kernels that need AMX on an emulated Sapphire Rapids, in two minutes.
#
#   BOCHS=…/bochs KERNEL=…/vmlinuz SYSLINUX=…/usr/lib tests/amx/emulated.sh
#
# BOCHS is the folder of a Bochs that emulates AMX for processors of 64 bits. That of August 2026 has to be
# mended first: without extended feature disable (XFD) Linux does not enable AMX; TDPBUSD takes the bytes of
# its second source without their sign, against Intel's description; XSAVE loses the shape of tiles; and
# instructions that Linux has patched are kept decoded.
# KERNEL is a Linux of 5.16 or newer with a serial console, such as that of Debian's
# linux-image-cloud-amd64. SYSLINUX holds what Debian's isolinux and syslinux-common put into /usr/lib.
# xorriso and cpio are on the path. Nothing is installed, and nothing here is root's.
set -euo pipefail
: "${BOCHS:?}" "${KERNEL:?}" "${SYSLINUX:?}"
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root" "$work/iso/isolinux"

# Without shared libraries, so that the two programs are the whole system.
export RUSTFLAGS="-C target-feature=+crt-static"
tests=$(cd "$here/../.." && cargo test --locked -p nightshift-kernels --lib --no-run \
    --target x86_64-unknown-linux-gnu --target-dir target/amx 2>&1 | tee /dev/stderr |
    sed -n 's/.*(\(target\/amx\/.*\))$/\1/p')
strip -o "$work/root/tests" "$here/../../$tests"
rustc --edition 2024 -O -C target-feature=+crt-static -o "$work/root/init" "$here/init.rs"
(cd "$work/root" && printf 'init\ntests\n' | cpio --quiet -o -H newc | gzip -1) >"$work/iso/initrd.gz"

cp "$KERNEL" "$work/iso/vmlinuz"
cp "$SYSLINUX/ISOLINUX/isolinux.bin" "$SYSLINUX/syslinux/modules/bios/ldlinux.c32" "$work/iso/isolinux/"
# fsrm: Bochs shows it without erms, and then memmove of Linux 6.1 runs away.
cat >"$work/iso/isolinux/isolinux.cfg" <<END
DEFAULT tests
LABEL tests
  KERNEL /vmlinuz
  INITRD /initrd.gz
  APPEND console=ttyS0,115200 nokaslr mitigations=off tsc=reliable lpj=1000000 clearcpuid=fsrm rdinit=/init
END
xorriso -as mkisofs -quiet -o "$work/boot.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat \
    -no-emul-boot -boot-load-size 4 -boot-info-table "$work/iso"

# Linux 6.1 was seen to hang in Bochs with waitpkg.
cat >"$work/bochsrc" <<END
config_interface: textconfig
display_library: nogui
megs: 1024
cpu: model=sapphire_rapids, count=1, ips=200000000, exclude_features="waitpkg"
romimage: file=$BOCHS/bios/BIOS-bochs-latest
vgaromimage: file=$BOCHS/bios/VGABIOS-lgpl/VGABIOS-lgpl-latest.bin
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$work/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial
clock: sync=none, time0=1700000000
log: $work/log
panic: action=fatal
error: action=report
info: action=ignore
END
"$BOCHS/bochs" -q -f "$work/bochsrc" </dev/null >"$work/out" 2>&1 &
machine=$!
trap 'kill "$machine" 2>/dev/null || true; rm -rf "$work"' EXIT
until grep -a -s -q '^AMX TESTS' "$work/serial" || ! kill -0 "$machine" 2>/dev/null || ((SECONDS > 900)); do
    sleep 1
done
grep -a -E '^(test |running|AMX)|traps:' "$work/serial" || tail -n 20 "$work/serial" "$work/log"
grep -a -q '^AMX TESTS PASSED' "$work/serial"
