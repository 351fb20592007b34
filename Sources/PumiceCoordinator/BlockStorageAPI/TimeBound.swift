import PumiceModel

/// One of the comparisons in `created_at=gt:2026-01-01,lte:2026-02-01` (3.60).
struct TimeBound: Sendable {
  enum Comparison: String { case gt, gte, eq, neq, lt, lte }

  let comparison: Comparison
  let moment: Timestamp

  static func list(_ text: String, _ name: String) throws(StorageError) -> [TimeBound] {
    var bounds: [TimeBound] = []
    for part in text.split(separator: ",") {
      let pair = part.split(separator: ":", maxSplits: 1)
      let comparison = Comparison(rawValue: String(pair.first ?? ""))
      guard let moment = Timestamp(iso8601: String(comparison == nil ? part : pair.count == 2 ? pair[1] : "")) else {
        throw .invalid(name, "must be like gt:2026-01-31T12:00:00, not '\(part.prefix(40))'.")
      }
      bounds.append(TimeBound(comparison: comparison ?? .eq, moment: moment))
    }
    return bounds
  }

  func admits(_ other: Timestamp) -> Bool {
    switch comparison {
    case .gt: other > moment
    case .gte: other >= moment
    case .eq: other == moment
    case .neq: other != moment
    case .lt: other < moment
    case .lte: other <= moment
    }
  }
}
