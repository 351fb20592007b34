import PumiceWire
import Testing

struct BearerTokenTests {
  @Test func theTokenMustNotOnlyBeginRight() {
    let token = BearerToken("abcabc")
    #expect(token.isShown(in: "bearer abcabc"))
    #expect(!token.isShown(in: "Bearer abcabcabc"))
    #expect(!token.isShown(in: "Bearer abc"))
    #expect(!token.isShown(in: "Basic abcabc"))
    #expect(!token.isShown(in: "abcabc"))
    #expect(!token.isShown(in: nil))
  }

  @Test func tokensAreEqualOnlyWhenTheyAre() {
    #expect(BearerToken("abc").isEqual(to: "abc"))
    #expect(!BearerToken("abc").isEqual(to: "abd"))
    #expect(!BearerToken("abc").isEqual(to: "abcabc"))
    #expect(!BearerToken("abc").isEqual(to: ""))
  }

  @Test func anEmptyTokenLetsNobodyIn() {
    #expect(!BearerToken("").isShown(in: "Bearer "))
    #expect(!BearerToken("").isEqual(to: ""))
  }
}
