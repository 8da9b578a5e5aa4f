#!/usr/bin/env bash
# Assembles all that a Linux x86-64 machine with an NVIDIA driver, but without Java, needs to run
# nibble and its GPU tests:
#
#   tools/gpu-bundle.sh OUT [FIXTURE...]
#
# FIXTUREs are paths below fixtures/ that tests or commands read there, such as models/emoji-zimage.
# OUT holds all.tar.xz (a Java without what nibble does not use; jars; FIXTUREs), which the launchers
# `nibble`, `gpu-tests` and `bench` unpack beside them at first use: under 30 MB without
# FIXTUREs. Needs a JDK 25 (JAVA_HOME), nvcc, strip, xz, zip and unzip.
set -euo pipefail
unset CDPATH
root=$(cd "$(dirname "$0")/.." && pwd -P)
[ $# -ge 1 ] || { sed -n '5,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
out=$1
shift
jdk=${JAVA_HOME:?point JAVA_HOME at a JDK 25}
junit=$(sed -n 's/.*<junit.version>5\(.*\)<.*/1\1/p' "$root/pom.xml")
[ ! -e "$out" ] || { echo "error: $out exists" >&2; exit 1; }
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
all=$work/all # what is packed
jars=$all/lib
mkdir -p "$jars" "$all/fixtures"

cd "$root"
[ -n "${NIBBLE_BUILT:-}" ] ||
  ./mvnw -q -B -ntp -DskipTests -Dspotless.check.skip=true -Dkernels=true -pl tools -am package
./mvnw -q -B -ntp dependency:copy -pl fixtures -DoutputDirectory="$work" -Dmdep.useBaseVersion=true \
  -Dartifact="org.junit.platform:junit-platform-console-standalone:$junit"

# Jars: nibble's own and what they need, the two with native libraries cut down to this platform.
cp tools/target/app/*.jar "$jars"
cp "$work"/junit-platform-console-standalone-*.jar "$jars/junit.jar"
cp fixtures/target/nibble-fixtures-*.jar "$jars"
"$jdk/bin/jar" --create --file "$jars/tests.jar" -C runtime/target/test-classes .
for jar in "$jars"/jcuda-natives-*.jar; do
  zip -q -d "$jar" '*JNvPTXCompiler*'
done
for jar in "$jars"/tokenizers-*.jar; do
  zip -q -d "$jar" 'native/lib/win-*' 'native/lib/osx-*' 'native/lib/linux-aarch64*' 'nlp/*'
  mkdir "$work/tokenizers"
  (cd "$work/tokenizers" && unzip -q "$jar" && find native -name '*.so' -exec strip --strip-unneeded {} + &&
    rm "$jar" && "$jdk/bin/jar" --create --file "$jar" .)
done
# Stored, not deflated: xz packs their content better than it could pack deflated jars.
for jar in "$jars"/*.jar; do
  rm -rf "$work/jar" && mkdir "$work/jar"
  (cd "$work/jar" && unzip -q "$jar" && rm "$jar" && zip -q -0 -r -X "$jar" .)
done

# Java: the modules that jdeps finds, and those reached in ways it does not see (JUnit reads jars as
# file systems).
found=$("$jdk/bin/jdeps" --multi-release 25 --ignore-missing-deps --print-module-deps \
  --class-path "$(echo "$jars"/*.jar | tr ' ' ':')" "$jars"/nibble*.jar "$jars/tests.jar" | tr ',' '\n' |
  grep -v -e java.management -e java.sql || true)
modules=$(printf '%s\n' $found java.base java.logging java.management jdk.unsupported jdk.incubator.vector jdk.zipfs | sort -u | paste -sd,)
"$jdk/bin/jlink" --add-modules "$modules" --strip-debug --no-header-files --no-man-pages --compress zip-0 \
  --output "$all/java"
strip --strip-unneeded "$all/java/lib/server/libjvm.so" "$all"/java/lib/*.so
rm -rf "$all/java/legal"

for fixture; do
  mkdir -p "$all/fixtures/$(dirname "$fixture")"
  cp -R "fixtures/$fixture" "$all/fixtures/$fixture"
done
tar -C "$all" -c . | xz -9e -T1 >"$out/all.tar.xz"

cat >"$out/java.sh" <<'EOF'
# Sets `java`: unpacked on first use.
here=$(cd "$(dirname "$0")" && pwd -P)
[ -x "$here/java/bin/java" ] || tar -C "$here" -xJf "$here/all.tar.xz" || exit 1
java="$here/java/bin/java -XX:+UseSerialGC -XX:MaxRAMPercentage=70 -Djava.awt.headless=true \
--enable-native-access=ALL-UNNAMED --add-modules=jdk.incubator.vector -Dnibble.root=$here"
EOF
cat >"$out/nibble" <<'EOF'
#!/bin/sh
# nibble of this folder.
. "$(dirname "$0")/java.sh"
exec $java ${NIBBLE_JAVA:-} -cp "$here/lib/*" dev.nibble.tools.NibbleMain "$@"
EOF
cat >"$out/gpu-tests" <<'EOF'
#!/bin/sh
# The tests tagged gpu: gpu-tests [CLASS NAME PATTERN], such as '.*CudaOps.*'.
. "$(dirname "$0")/java.sh"
exec $java ${NIBBLE_JAVA:-} -cp "$here/lib/*" org.junit.platform.console.ConsoleLauncher execute \
  --disable-banner --disable-ansi-colors --details=tree --include-engine=junit-jupiter --include-tag=gpu --select-package=dev.nibble \
  --include-classname="${1:-.*}"
EOF
cat >"$out/bench" <<'EOF'
#!/bin/sh
# A main class among the tests: bench CLASS [ARGUMENT...], such as cuda.driver.DriverBenchmark.
. "$(dirname "$0")/java.sh"
class=$1
shift
exec $java ${NIBBLE_JAVA:-} -cp "$here/lib/*" "dev.nibble.runtime.$class" "$@"
EOF
chmod +x "$out/nibble" "$out/gpu-tests" "$out/bench"
du -sh "$out" >&2
