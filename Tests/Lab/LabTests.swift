import Foundation
import Testing

/// Nodes of the lab, one test after the other: they want the machine for themselves.
@Suite(.serialized) struct LabTests {
  /// Whether the slow parts are asked for too, as `make lab` does; `make test` leaves them out.
  static let isWhole = ProcessInfo.processInfo.environment["PUMICE_LAB"] == "all"
}
