import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct TimestampTextTests {
  @Test(
    arguments: [
      (0, "1970-01-01T00:00:00.000000"), (1_795_222_923_004, "2026-11-21T01:02:03.004000"),
      (951_782_399_999, "2000-02-28T23:59:59.999000"), (951_782_400_000, "2000-02-29T00:00:00.000000"),
      (4_107_542_400_000, "2100-03-01T00:00:00.000000"), (-1, "1969-12-31T23:59:59.999000"),
    ] as [(Int64, String)])
  func momentsAreWrittenAsCinderDoesAndReadAgain(milliseconds: Int64, text: String) {
    #expect(Timestamp(milliseconds: milliseconds).cinder == text)
    if milliseconds >= 0 { #expect(Timestamp(iso8601: text)?.milliseconds == milliseconds) }
  }

  @Test(arguments: ["", "yesterday", "2026-13-01", "2026-01-01T25:00:00", "2026-01", "2026-01-01T1", "20260101"])
  func whatIsNoMomentIsRefused(text: String) {
    #expect(Timestamp(iso8601: text) == nil)
  }
}
