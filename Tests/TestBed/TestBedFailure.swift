/// Why a part of the test bed is not as it should be, with the end of its log.
public struct TestBedFailure: Error, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }
}
