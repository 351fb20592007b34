import PumiceModel
import Testing

@testable import PumiceAgent

@Suite struct CHAPAccountTests {
  @Test func secretsHaveSixteenCharactersAndNoLookalikes() {
    var dice = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      let account = CHAPAccount(for: .random(), using: &dice)
      #expect(account.secret.count == 16)
      #expect(account.secret.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) && !"0O1lIoU".contains($0) })
    }
  }

  @Test func everyCharacterIsAsLikelyAsAnother() {
    var dice = SystemRandomNumberGenerator()
    var counts: [Character: Int] = [:]
    for _ in 0..<7000 {
      for character in CHAPAccount(for: .random(), using: &dice).secret { counts[character, default: 0] += 1 }
    }
    // 112,000 draws over 56 characters: 2,000 each, give or take 45; seven of those is once in 10^11.
    #expect(counts.count == 55)
    #expect(counts.values.allSatisfy { abs($0 - 2036) < 315 })
  }

  @Test func noUserLooksLikeANumberToLIO() throws {
    let attachment = try #require(AttachmentID("0b05e989-7359-4128-aeef-2456bff49ac3"))
    #expect(CHAPAccount.user(for: attachment) == "pumice-0b05e989-7359-4128-aeef-2456bff49ac3")
  }

  @Test func usersAreUniqueToTheAttachment() {
    #expect(CHAPAccount.user(for: .random()) != CHAPAccount.user(for: .random()))
  }
}
