package dev.nibble.tools;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassFile.ClassHierarchyResolverOption;
import java.lang.classfile.ClassFile.ConstantPoolSharingOption;
import java.lang.classfile.ClassFile.StackMapsOption;
import java.lang.classfile.ClassFileVersion;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassModel;
import java.lang.classfile.ClassTransform;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Enumeration;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;

/// What the launchers run once after a build: rewrites classes of Java 5 in a jar (picocli's) as
/// classes of Java 8. Older ones carry no stack maps, so Java can't keep them in its class cache
/// and verifies them the slow way at every start: half of the time of `--help`.
final class OldClasses {
  private static final int FIRST_WITH_STACK_MAPS = ClassFile.JAVA_6_VERSION;

  private final ClassFile parser;

  private OldClasses(JarFile jar) {
    ClassHierarchyResolver inJar =
        ClassHierarchyResolver.ofResourceParsing(type -> {
          String descriptor = type.descriptorString();
          String name = descriptor.substring(1, descriptor.length() - 1) + ".class";
          JarEntry entry = jar.getJarEntry(name);
          try {
            return entry == null ? null : jar.getInputStream(entry);
          } catch (IOException e) {
            return null;
          }
        });
    parser =
        ClassFile.of(
            ConstantPoolSharingOption.NEW_POOL, // makes it write all code anew
            StackMapsOption.GENERATE_STACK_MAPS,
            ClassHierarchyResolverOption.of(
                inJar.orElse(ClassHierarchyResolver.defaultResolver())));
  }

  /// @param args the jar to rewrite in place
  public static void main(String[] args) throws IOException {
    Path path = Path.of(args[0]);
    ByteArrayOutputStream rewritten = new ByteArrayOutputStream();
    try (JarFile jar = new JarFile(path.toFile());
        JarOutputStream target = new JarOutputStream(rewritten)) {
      OldClasses classes = new OldClasses(jar);
      for (Enumeration<JarEntry> entries = jar.entries(); entries.hasMoreElements(); ) {
        JarEntry entry = entries.nextElement();
        byte[] bytes = jar.getInputStream(entry).readAllBytes();
        target.putNextEntry(new JarEntry(entry.getName()));
        target.write(entry.getName().endsWith(".class") ? classes.upgrade(bytes) : bytes);
      }
    }
    Files.write(path, rewritten.toByteArray());
  }

  private byte[] upgrade(byte[] bytes) {
    ClassModel model = parser.parse(bytes);
    if (model.majorVersion() >= FIRST_WITH_STACK_MAPS) {
      return bytes;
    }
    ClassTransform version =
        (builder, element) -> {
          if (element instanceof ClassFileVersion) {
            builder.withVersion(ClassFile.JAVA_8_VERSION, 0);
          } else {
            builder.with(element);
          }
        };
    return parser.transformClass(
        model,
        ClassTransform.transformingMethodBodies((builder, element) -> builder.with(element))
            .andThen(version));
  }
}
