// Models of teachers, stored as checkpoints are, and the scores that another system writes (docs/teachers.md).

public import Interactions
public import Ports

extension RedisStateStore {
    /// The version of a model stands where a checkpoint has the sequence of a partition, so the same function refuses
    /// an older one, and one of an earlier life of Redis.
    private static let versionField: PartitionIndex = 0

    public func saveModel(_ model: StoredModel, completion: @escaping Completion<Void>) {
        let record = StatisticsCheckpoint(
            sequences: [Self.versionField: Int64(clamping: model.version)], chunks: model.chunks,
            incarnation: model.incarnation)
        save(record, at: keys.model(model.name), completion: completion)
    }

    public func loadModel(
        _ name: String, after version: UInt64, completion: @escaping Completion<StoredModel?>
    ) {
        let known = Int64(clamping: version)
        load(
            keys.model(name), where: { $0[Self.versionField] ?? 0 > known },
            completion: { result in
                completion(
                    result.map { found in
                        found.map {
                            StoredModel(
                                name: name,
                                version: UInt64(max(0, $0.sequences[Self.versionField] ?? 0)),
                                chunks: $0.chunks)
                        }
                    })
            })
    }

    // MARK: - Scores of another system

    private static let externalScanCount = 1_000
    /// Records of items that a publication may hold, in bytes; beyond it the publication is refused.
    static let externalBytesMax = 1 << 30

    public func loadExternal(
        after version: UInt64, completion: @escaping Completion<ExternalPublication?>
    ) {
        read(
            Step(
                encode: { [keys] buffer in
                    buffer.command("HMGET", keys.externalMeta, "format", "version", "kind")
                },
                accept: { [self] replies throws(PortError) in
                    let fields = try replies[0].elements("external meta", count: 3)
                    guard let text = try fields[1].textOrNil("external version") else {
                        return completion(.success(nil))
                    }
                    guard let found = UInt64(text), (1...UInt64(Int64.max)).contains(found) else {
                        throw PortError(
                            .refused,
                            "\(keys.externalMeta): version \"\(text)\" is no positive integer")
                    }
                    guard found > version else { return completion(.success(nil)) }
                    let format = try fields[0].textOrNil("external format") ?? ""
                    guard format == "1" else {
                        throw PortError(
                            .refused,
                            "\(keys.externalMeta): format \"\(format)\", this version reads 1")
                    }
                    switch try fields[2].textOrNil("external kind") ?? "" {
                    case "lists":
                        completion(.success(ExternalPublication(version: found, items: nil)))
                    case "vectors": scan(ExternalReading(version: found), completion: completion)
                    case let kind:
                        throw PortError(
                            .refused,
                            "\(keys.externalMeta): kind \"\(kind)\" is neither vectors nor lists")
                    }
                },
                fail: { completion(.failure($0)) }))
    }

    private func scan(
        _ reading: ExternalReading, completion: @escaping Completion<ExternalPublication?>
    ) {
        read(
            Step(
                encode: { [keys] buffer in
                    buffer.command(
                        "HSCAN", keys.externalItems(reading.version), String(reading.cursor),
                        "COUNT", String(Self.externalScanCount))
                },
                accept: { [self] replies throws(PortError) in
                    let page = try ScanPage(replies[0])
                    var reading = reading
                    try reading.add(page, keys)
                    if let next = page.next {
                        reading.cursor = next
                        scan(reading, completion: completion)
                    } else {
                        let pages = reading.pages
                        completion(
                            .success(
                                ExternalPublication(
                                    version: reading.version, items: pages.flatMap { $0 })))
                    }
                },
                fail: { completion(.failure($0)) }))
    }

    public func loadExternalRecord(
        of user: UserID, version: UInt64, completion: @escaping Completion<[UInt8]?>
    ) {
        read(
            Step(
                encode: { [keys] in
                    $0.command("HGET", keys.externalUsers(version), user.text)
                },
                accept: { replies throws(PortError) in
                    completion(.success(try replies[0].bytesOrNil("external record")))
                },
                fail: { completion(.failure($0)) }))
    }
}

/// A publication being read.
private struct ExternalReading: Sendable {
    let version: UInt64
    var cursor: UInt64 = 0
    /// Page by page: a page more is no copy of those before.
    var pages: [[(item: ItemID, record: [UInt8])]] = []
    private var bytes = 0

    init(version: UInt64) { self.version = version }

    mutating func add(_ page: ScanPage, _ keys: KeyNames) throws(PortError) {
        var rows: [(item: ItemID, record: [UInt8])] = []
        rows.reserveCapacity(page.pairs.count)
        for (field, value) in page.pairs {
            let text = try field.text("external item id")
            guard let item = ItemID(text) else {
                throw PortError(
                    .refused,
                    "\(keys.externalItems(version)): an item id has \(text.utf8.count) bytes")
            }
            let record = try value.bytes("external record")
            bytes += record.count
            rows.append((item, record))
        }
        pages.append(rows)
        guard bytes <= RedisStateStore.externalBytesMax else {
            throw PortError(
                .refused,
                "\(keys.externalItems(version)) holds more than "
                    + "\(RedisStateStore.externalBytesMax) bytes: publish fewer or shorter vectors")
        }
    }
}
