import HashTreeCollections
import PumiceModel
import Synchronization

/// The things of one kind of each project in the order in which lists begin: newest first.
///
/// It follows the tables: when a list is asked for, what has come or gone since the last time is put in or taken out.
final class NewestFirst<Kind>: Sendable {
  private struct Order {
    var members: TreeSet<Identifier<Kind>> = []
    /// Newest first; of the same moment, greatest id first.
    var sorted: [Place] = []
  }

  struct Place: Sendable, Comparable {
    let createdAt: Timestamp
    let id: Identifier<Kind>

    /// Whether it comes before.
    static func < (left: Self, right: Self) -> Bool {
      (right.createdAt, right.id) < (left.createdAt, left.id)
    }
  }

  private let orders = Mutex<[ProjectID: Order]>([:])

  /// - Parameter members: All that the project has now.
  func places(
    of project: ProjectID, _ members: TreeSet<Identifier<Kind>>, createdAt: (Identifier<Kind>) -> Timestamp?
  ) -> [Place] {
    orders.withLock { orders in
      if let order = orders[project], order.members == members { return order.sorted }
      var order = orders.removeValue(forKey: project) ?? Order()
      let removed = order.members.subtracting(members)
      let added = Self.places(Array(members.subtracting(order.members)), createdAt: createdAt)
      if !removed.isEmpty { order.sorted.removeAll { removed.contains($0.id) } }
      if added.count > 64 {
        order.sorted = (order.sorted + added).sorted()
      } else {
        for place in added { order.sorted.insert(place, at: Self.position(of: place, in: order.sorted)) }
      }
      order.members = members
      if !members.isEmpty { orders[project] = order }
      return order.sorted
    }
  }

  static func places(
    _ ids: [Identifier<Kind>], createdAt: (Identifier<Kind>) -> Timestamp?
  ) -> [Place] {
    ids.compactMap { id in createdAt(id).map { Place(createdAt: $0, id: id) } }
  }

  /// The first place that is not before this one.
  static func position(of place: Place, in sorted: [Place]) -> Int {
    var (low, high) = (0, sorted.count)
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle] < place { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
