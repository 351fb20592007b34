import Foundation
import Testing

/// A thousand seeded runs. `PUMICE_SEED=n` runs one of them alone, `PUMICE_SEEDS=n` that many.
@Suite struct SimulationTests {
  private static let environment = ProcessInfo.processInfo.environment
  static let seeds: [Range<UInt64>] = {
    if let seed = environment["PUMICE_SEED"].flatMap(UInt64.init) { return [seed..<(seed + 1)] }
    let count = environment["PUMICE_SEEDS"].flatMap(UInt64.init) ?? 1000
    return stride(from: 0, to: count, by: 50).map { $0..<min($0 + 50, count) }
  }()

  @Test(arguments: seeds) func everythingComesRight(_ seeds: Range<UInt64>) {
    for seed in seeds {
      let violations = Simulation(seed: seed).run()
      #expect(violations.isEmpty, "PUMICE_SEED=\(seed): \(violations.prefix(6).joined(separator: " "))")
    }
  }
}
