import PumiceIdentity
import PumiceModel
import Testing

@Suite struct KeyDigestTests {
  @Test func aKeyIsKnownByItsDigestAndNotFoundInIt() throws {
    let digest = KeyDigest(of: "a long key", salt: [1, 2, 3])
    #expect(digest.fits("a long key"))
    for other in ["", "a long ke", "a long keyy", "A long key"] { #expect(!digest.fits(other)) }
    #expect(try KeyDigest(digest.text) == digest)
    #expect(!digest.text.contains("long"))
    #expect(KeyDigest(of: "a long key", salt: [3]).text != digest.text)
  }

  // RFC 4231, test case 2.
  @Test func itIsWhatTheRFCSays() throws {
    let digest = try KeyDigest("hmac-sha256$SmVmZQ==$W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=")
    #expect(digest.fits("what do ya want for nothing?"))
  }

  @Test(arguments: ["", "hmac-sha256", "hmac-sha256$$", "md5$AA==$AA==", "hmac-sha256$AA==$AA=="])
  func anyOtherTextIsRefused(text: String) {
    #expect(throws: StorageError.self) { try KeyDigest(text) }
  }
}
