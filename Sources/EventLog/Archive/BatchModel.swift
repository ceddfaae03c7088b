/// Codes batches one after the other, in either direction: what is as expected costs nearly nothing.
///
/// The writer hands in whole batches; the reader gets the same bytes back, except the seals, which are the
/// caller's to compute.
struct BatchModel<Port: ColumnPort> {
    var port: Port
    private var forecast: Forecast
    private var epoch: UInt64
    private var position: UInt64

    /// How a batch is stored, in the lowest bits of its count.
    private enum Mark {
        static var verbatim: UInt64 { 1 }
        static var epoch: UInt64 { 2 }
        static var bitCount: UInt64 { 2 }
    }

    /// What is unusual about an event, beside its rank in the lowest bits.
    private enum Control {
        static var rankMask: UInt8 { 0x0F }
        static var noRank: UInt8 { 0x0F }
        static var previous: UInt8 { 0x10 }
        static var kind: UInt8 { 0x20 }
    }

    /// - Parameter time: about when the first batch was committed, as both sides know it.
    init(port: Port, firstPosition: UInt64, time: UInt64) {
        self.port = port
        forecast = Forecast(time: time)
        epoch = 0
        position = firstPosition
    }

    /// Codes the next batch: reads the whole buffer, or fills it.
    mutating func code(_ batch: BatchBuffer) throws(FormatFault) {
        let header = Port.isWriting ? batch.header : nil
        let events = batch.bytes.count > 0 ? header?.eventCount ?? 0 : 0
        var mark: UInt64 = 0
        if Port.isWriting, !batch.isUsual { mark |= Mark.verbatim }
        if let header, header.epoch != epoch { mark |= Mark.epoch }
        let lead = try port.number(UInt64(events) << Mark.bitCount | mark, .batches)
        let count = lead >> Mark.bitCount
        guard count > 0, count <= UInt64(UInt32.max), position &+ count > position else {
            throw FormatFault("a block's batch has \(count) events")
        }
        if lead & Mark.verbatim != 0 {
            try codeVerbatim(batch)
        } else {
            if lead & Mark.epoch != 0 {
                epoch = epoch &+ (try port.number((header?.epoch ?? 0) &- epoch, .batches))
            }
            try codeEvents(of: batch, count: UInt32(count))
        }
        position += count
    }

    private mutating func codeVerbatim(_ batch: BatchBuffer) throws(FormatFault) {
        let byteCount = try port.number(UInt64(batch.bytes.count), .details)
        guard byteCount >= UInt64(Format.headerByteCount), byteCount <= UInt64(Limits.batchValueByteMax)
        else { throw FormatFault("a block's batch has \(byteCount) bytes") }
        if !Port.isWriting { batch.resize(Int(byteCount)) }
        try port.payload(batch.bytes)
        let bytes = UnsafeRawBufferPointer(batch.bytes)
        epoch = bytes.load(at: 16)
        forecast.note(time: bytes.load(at: 24))
    }

    private mutating func codeEvents(of batch: BatchBuffer, count: UInt32) throws(FormatFault) {
        if !Port.isWriting { batch.resize(Format.headerByteCount) }
        forecast.forgetOverdue()
        var offset = Format.headerByteCount
        for number in 0..<count {
            offset = try codeEvent(of: batch, at: offset, isFirst: number == 0, position + UInt64(number))
        }
        guard !Port.isWriting else { return }
        BatchHeader(
            eventCount: count, eventByteCount: UInt32(offset - Format.headerByteCount), epoch: epoch,
            time: forecast.time, seal: .none
        ).write(to: batch.bytes)
    }

    private mutating func codeEvent(
        of batch: BatchBuffer, at offset: Int, isFirst: Bool, _ position: UInt64
    ) throws(FormatFault) -> Int {
        let said = Port.isWriting ? Envelope(reading: UnsafeRawBufferPointer(batch.bytes), at: offset) : nil
        let known = said.flatMap { forecast.track(ofStream: $0.stream) }.map { forecast.tracks[$0] }
        var control: UInt8 = 0
        if let said {
            control = forecast.rank(ofStream: said.stream).map { UInt8($0) } ?? Control.noRank
            if known?.lastPosition != said.previousInStream { control |= Control.previous }
            if known?.kind != said.kind { control |= Control.kind }
        }
        control = try port.byte(control, .controls)
        let track = try codeTrack(control & Control.rankMask, said?.stream ?? 0)
        if isFirst { try codeTime(said?.time ?? 0, of: track) }
        var previous = forecast.tracks[track].lastPosition
        if control & Control.previous != 0 {
            previous = position &- (try port.number(position &- (said?.previousInStream ?? 0), .details))
        }
        let kind = try codeKind(said?.kind, isNew: control & Control.kind != 0, of: track)
        let payloadOffset = offset + Format.envelopeByteCount
        let end = payloadOffset + Int(kind.payloadByteCount)
        if !Port.isWriting {
            guard end <= Limits.batchValueByteMax else { throw FormatFault("a block's batch is too long") }
            batch.resize(end)
            Envelope(
                time: forecast.time, previousInStream: previous, stream: forecast.tracks[track].stream,
                payloadByteCount: kind.payloadByteCount, type: kind.type, format: kind.format
            ).write(to: UnsafeMutableRawBufferPointer(rebasing: batch.bytes[offset..<payloadOffset]))
        }
        let payload = UnsafeMutableRawBufferPointer(rebasing: batch.bytes[payloadOffset..<end])
        let isNew = control & Control.kind != 0 || forecast.tracks[track].wordsAt < 0
        try codePayload(payload, kind, isNew: isNew, of: track)
        forecast.note(kind, position: position, of: track)
        return end
    }

    private mutating func codeTrack(_ rank: UInt8, _ stream: UInt32) throws(FormatFault) -> Int {
        if rank != Control.noRank {
            guard let track = forecast.track(atRank: Int(rank)) else {
                throw FormatFault("a block names a stream that is not due")
            }
            return track
        }
        let number = try port.number(UInt64(stream), .details)
        guard let stream = UInt32(exactly: number) else { throw FormatFault("stream \(number) cannot be") }
        return forecast.track(ofStream: stream) ?? forecast.addTrack(stream: stream)
    }

    private mutating func codeTime(_ time: UInt64, of track: Int) throws(FormatFault) {
        let (expected, bitCount) = forecast.expectedTime(of: track)
        let distance = try codeDistance(folded(Int64(bitPattern: time &- expected)), bitCount, .times)
        forecast.note(time: expected &+ UInt64(bitPattern: unfolded(distance)), of: track)
    }

    private mutating func codeKind(
        _ said: EventKind?, isNew: Bool, of track: Int
    ) throws(FormatFault) -> EventKind {
        guard isNew else {
            guard let kind = forecast.tracks[track].kind else {
                throw FormatFault("a block names an event like one that was not")
            }
            return kind
        }
        let code = said.map { UInt64($0.type) << 8 | UInt64($0.format) } ?? 0
        let type = try port.number(code, .details)
        let byteCount = try port.number(UInt64(said?.payloadByteCount ?? 0), .details)
        guard type < 1 << 24, byteCount <= UInt64(Limits.batchValueByteMax) else {
            throw FormatFault("a block's event has type \(type >> 8) and \(byteCount) bytes")
        }
        return EventKind(
            type: UInt16(type >> 8), format: UInt8(truncatingIfNeeded: type),
            payloadByteCount: UInt32(byteCount))
    }

    private mutating func codePayload(
        _ payload: UnsafeMutableRawBufferPointer, _ kind: EventKind, isNew: Bool, of track: Int
    ) throws(FormatFault) {
        let count = kind.wordCount
        guard count > 0 else { return try port.payload(payload) }
        let place = forecast.placeForWords(of: track)
        if isNew {
            try port.payload(payload)
            for index in 0..<count { forecast.begin(word: place + index, payload.word(index)) }
            return
        }
        var mask: UInt64 = 0
        if Port.isWriting {
            for index in 0..<count where payload.word(index) != forecast.words[place + index].last {
                mask |= 1 << UInt64(index)
            }
        }
        mask = try port.number(mask, .masks)
        for index in 0..<count {
            let word = forecast.words[place + index]
            guard mask & (1 << UInt64(index)) != 0 else {
                if !Port.isWriting { payload.setWord(index, word.last) }
                continue
            }
            let difference = Port.isWriting ? Int64(payload.word(index)) - word.expected : 0
            let distance = try codeDistance(folded(difference), word.spread.noiseBitCount, .words)
            let value = UInt32(truncatingIfNeeded: word.expected &+ unfolded(distance))
            if !Port.isWriting { payload.setWord(index, value) }
            forecast.note(word: place + index, value)
        }
    }

    /// A distance as its likely part, which compresses, and its noise, which does not.
    private mutating func codeDistance(
        _ distance: UInt64, _ bitCount: Int, _ column: Column
    ) throws(FormatFault) -> UInt64 {
        let upper = distance >> UInt64(bitCount)
        var coded = UInt64(try port.byte(UInt8(min(upper, 0xFF)), column))
        if coded == 0xFF { coded = try port.number(upper, .escapes) }
        return coded << UInt64(bitCount) | (try port.noise(distance, bitCount: bitCount))
    }
}

extension Envelope {
    fileprivate var kind: EventKind {
        EventKind(type: type, format: format, payloadByteCount: payloadByteCount)
    }
}

extension UnsafeMutableRawBufferPointer {
    fileprivate func word(_ index: Int) -> UInt32 {
        UnsafeRawBufferPointer(self).load(at: 4 * index)
    }

    fileprivate func setWord(_ index: Int, _ value: UInt32) { store(value, at: 4 * index) }
}
