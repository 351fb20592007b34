import PumiceModel
import Testing

@testable import PumiceIdentity

@Suite struct PasswordHashTests {
  @Test func onlyItsOwnSecretFits() throws {
    let hash = try PasswordHash(of: "correct horse")
    let again = try PasswordHash(hash.text)
    #expect(again == hash && again.fits("correct horse"))
    for other in ["correct hors", "correct horse ", "", "Correct horse"] { #expect(!again.fits(other)) }
    #expect(try PasswordHash(of: "correct horse") != hash, "Each has a salt of its own.")
    #expect(try PasswordHash(of: "correct horse").stamp != hash.stamp)
  }

  /// RFC 7914, 12: the vector with N = 16384, r = 8, p = 1.
  @Test func itIsScryptAsTheStandardHasIt() throws {
    let hash = try PasswordHash(
      "scrypt$16384$8$1$U29kaXVtQ2hsb3JpZGU=$"
        + "cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw==")
    #expect(hash.fits("pleaseletmein") && !hash.fits("pleaseletmeout"))
  }

  @Test(arguments: [
    "", "scrypt", "plain", "scrypt$16384$8$1$U29kaXVtQ2hsb3JpZGU=",
    "scrypt$16383$8$1$U29kaXVtQ2hsb3JpZGU=$AAAAAAAAAAAAAAAAAAAAAA==",
    "scrypt$1073741824$8$1$U29kaXVtQ2hsb3JpZGU=$AAAAAAAAAAAAAAAAAAAAAA==", "scrypt$16384$8$1$U29k$AAAA",
    "scrypt$16384$8$-1$U29kaXVtQ2hsb3JpZGU=$AAAAAAAAAAAAAAAAAAAAAA==", "argon2$16384$8$1$U29kaXVtQ2hsb3JpZGU=$AAAA",
  ]) func otherTextsAreRefused(_ text: String) {
    #expect(throws: StorageError.self) { try PasswordHash(text) }
  }
}
