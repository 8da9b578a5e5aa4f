package dev.nibble.tools;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaMethod;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import com.tngtech.archunit.library.dependencies.SlicesRuleDefinition;
import dev.nibble.converter.planted.Upward;
import dev.nibble.formats.plantedone.Offender;
import dev.nibble.formats.plantedtwo.Accomplice;
import dev.nibble.runtime.models.planted.CacheAware;
import dev.nibble.runtime.planted.Sideways;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// The house rules that a compiler does not know. The last test plants an offender for each rule,
/// so that none of them passes because it looks at nothing.
class ArchitectureTest {
  private static final String ROOT = "dev.nibble.";
  private static final List<String> MODULES = List.of("formats", "converter", "runtime", "tools");

  private static JavaClasses classes;

  @BeforeAll
  static void read() {
    classes =
        new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("dev.nibble");
    for (String module : MODULES) {
      assertTrue(
          classes.stream().anyMatch(type -> type.getPackageName().startsWith(ROOT + module)),
          "no classes of " + module + " seen");
    }
  }

  private static ArchRule formatsKnowsNobody() {
    return noClasses()
        .that()
        .resideInAPackage("dev.nibble.formats..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "dev.nibble.converter..", "dev.nibble.runtime..", "dev.nibble.tools..", "picocli..");
  }

  private static ArchRule converterKnowsOnlyFormats() {
    return noClasses()
        .that()
        .resideInAPackage("dev.nibble.converter..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("dev.nibble.runtime..", "dev.nibble.tools..", "picocli..");
  }

  private static ArchRule runtimeKnowsOnlyFormats() {
    return noClasses()
        .that()
        .resideInAPackage("dev.nibble.runtime..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("dev.nibble.converter..", "dev.nibble.tools..", "picocli..");
  }

  /// Caches take models through their blocks; a model does not know that it is cached.
  private static ArchRule modelsKnowNoCaches() {
    return noClasses()
        .that()
        .resideInAPackage("dev.nibble.runtime.models..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("dev.nibble.runtime.cache..");
  }

  private static ArchRule vectorsOnlyInSimd() {
    return noClasses()
        .that()
        .resideOutsideOfPackage("..simd..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("jdk.incubator.vector..");
  }

  private static ArchRule jcudaOnlyInDriver() {
    return noClasses()
        .that()
        .resideOutsideOfPackage("dev.nibble.runtime.cuda.driver..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("jcuda..");
  }

  private static ArchRule onlyToolsPrints() {
    return noClasses()
        .that()
        .resideOutsideOfPackage("dev.nibble.tools..")
        .should()
        .accessTargetWhere(
            new DescribedPredicate<JavaAccess<?>>("it is System.out, System.err or exit") {
              @Override
              public boolean test(JavaAccess<?> access) {
                return access.getTargetOwner().getName().equals("java.lang.System")
                    && List.of("out", "err", "exit").contains(access.getTarget().getName());
              }
            });
  }

  /// `internal` packages serve sibling modules; an API that mentions their types would hand them
  /// on.
  private static ArchRule apiDoesNotLeakInternals() {
    return methods()
        .that()
        .arePublic()
        .and()
        .areDeclaredInClassesThat()
        .arePublic()
        .and()
        .areDeclaredInClassesThat()
        .resideOutsideOfPackage("..internal..")
        .should(
            new ArchCondition<JavaMethod>("mention no internal type") {
              @Override
              public void check(JavaMethod method, ConditionEvents events) {
                List<JavaClass> types = new ArrayList<>(method.getRawParameterTypes());
                types.add(method.getRawReturnType());
                for (JavaClass type : types) {
                  if (("." + type.getPackageName() + ".").contains(".internal.")) {
                    events.add(
                        SimpleConditionEvent.violated(
                            method, method.getFullName() + " mentions " + type.getName()));
                  }
                }
              }
            });
  }

  private static ArchRule slicesHaveNoCycles() {
    return SlicesRuleDefinition.slices().assignedFrom(new ByTopPackage()).should().beFreeOfCycles();
  }

  /// A package of a module with all its sub-packages; a module's root package is in no slice.
  private static final class ByTopPackage implements SliceAssignment {
    @Override
    public SliceIdentifier getIdentifierOf(JavaClass type) {
      String name = type.getPackageName();
      if (!name.startsWith(ROOT)) {
        return SliceIdentifier.ignore();
      }
      String[] words = name.substring(ROOT.length()).split("\\.");
      return words.length < 2 ? SliceIdentifier.ignore() : SliceIdentifier.of(words[0], words[1]);
    }

    @Override
    public String getDescription() {
      return "packages below a module's root";
    }
  }

  @Test
  void modulesPointDownwards() {
    formatsKnowsNobody().check(classes);
    converterKnowsOnlyFormats().check(classes);
    runtimeKnowsOnlyFormats().check(classes);
    modelsKnowNoCaches().check(classes);
  }

  @Test
  void vectorApiStaysInSimdPackages() {
    vectorsOnlyInSimd().check(classes);
  }

  @Test
  void jcudaStaysInTheDriverPackage() {
    jcudaOnlyInDriver().check(classes);
  }

  @Test
  void librariesNeverPrintNorExit() {
    onlyToolsPrints().check(classes);
  }

  @Test
  void packagesFormNoCycles() {
    slicesHaveNoCycles().check(classes);
  }

  @Test
  void apiKeepsInternalsToItself() {
    apiDoesNotLeakInternals().check(classes);
  }

  @Test
  void everyRuleNoticesItsOffender() {
    JavaClasses planted =
        new ClassFileImporter()
            .importClasses(
                Offender.class, Accomplice.class, Upward.class, Sideways.class, CacheAware.class);
    for (ArchRule rule :
        List.of(
            formatsKnowsNobody(),
            converterKnowsOnlyFormats(),
            runtimeKnowsOnlyFormats(),
            modelsKnowNoCaches(),
            vectorsOnlyInSimd(),
            jcudaOnlyInDriver(),
            onlyToolsPrints(),
            apiDoesNotLeakInternals(),
            slicesHaveNoCycles())) {
      assertTrue(rule.evaluate(planted).hasViolation(), rule.getDescription());
    }
  }
}
