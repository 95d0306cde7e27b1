//! Messages of another node as they arrive.

use std::rc::Rc;

use bytes::Buf as _;
use carillon_proto::peer::{Ack, DataOpen, DataStart, Position, Publish, encode_frame};
use prost::Message as _;
use tokio::sync::Notify;

use super::{Key, Local, Plane};
use crate::mesh::{
    Arrival, Inbound,
    quic::{Channel, PeerError, Receiver, Sender},
};

impl<L: Local> Plane<L> {
    /// Receives the messages of one incarnation of another node, once this node's view has it.
    pub(super) async fn receive_from(self: Rc<Self>, open: DataOpen, channel: Channel) {
        let key = (open.origin, open.incarnation);
        let is_due = |plane: &Self| {
            let state = plane.state.borrow();
            state.view.epoch >= open.epoch || state.view.has(key.0, key.1)
        };
        let mut progress = self.progress.subscribe();
        while !is_due(&self) {
            if progress.changed().await.is_err() {
                return;
            }
        }
        if !self.is_incarnation(open.receiver_incarnation) {
            return;
        }
        let task = tokio::task::spawn_local(Rc::clone(&self).receive(key, channel));
        let reader = task.abort_handle();
        {
            let mut state = self.state.borrow_mut();
            let Some(origin) = state.origins.get_mut(&key) else {
                reader.abort();
                return;
            };
            // One stream at a time: the newest, since the origin opens another only when it has given one up.
            origin.reader.replace(reader).inspect(tokio::task::AbortHandle::abort);
        }
        if let Ok(Err(error)) = task.await {
            tracing::debug!(peer = key.0, %error, "the stream of messages from a peer has ended");
        }
    }

    async fn receive(self: Rc<Self>, key: Key, mut channel: Channel) -> Result<(), PeerError> {
        let gone = || PeerError::Stream("it has left the view".to_owned());
        let (position, acks) = {
            let state = self.state.borrow();
            let origin = state.origins.get(&key).ok_or_else(gone)?;
            let last = origin.inbound.as_ref().map(Inbound::last);
            let position = Position { has_started: last.is_some(), last: last.unwrap_or_default() };
            (position, Rc::clone(&origin.acks))
        };
        channel.send(&position).await?;
        let DataStart { first, acked: arrived } = channel.receive().await?;
        {
            let mut state = self.state.borrow_mut();
            let origin = state.origins.get_mut(&key).ok_or_else(gone)?;
            match &origin.inbound {
                None if first == 0 => return Err(PeerError::Protocol("numbers begin with 1".to_owned())),
                None => origin.inbound = Some(self.new_inbound(first)),
                Some(inbound) if first > inbound.last() + 1 => {
                    return Err(PeerError::Protocol(format!(
                        "it goes on with {first} behind {}",
                        inbound.last()
                    )));
                }
                Some(_) => {}
            }
        }
        self.tell_progress();
        let Channel { mut sender, mut receiver } = channel;
        tokio::select! {
            error = self.read(key, first, &mut receiver, &acks) => Err(error),
            error = self.write_acks(key, arrived, &mut sender, &acks) => Err(error),
        }
    }

    async fn read(&self, key: Key, first: u64, receiver: &mut Receiver, acks: &Notify) -> PeerError {
        let mut number = first;
        loop {
            // What has arrived together with the frame before this stream of messages is here already, and nothing
            // may follow it: its publishers wait for their answers.
            let mut may_act = false;
            loop {
                let (frame, prefix) = match receiver.next_raw() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(error) => return error,
                };
                // Checked here and not by a timer alone: the process may have been paused until just now.
                may_act = may_act || self.local.may_act();
                if !may_act {
                    return PeerError::Stream("this node's lease is over".to_owned());
                }
                let mut content = frame.clone();
                content.advance(prefix);
                let message = match Publish::decode(content) {
                    Ok(message) => message,
                    Err(error) => return PeerError::Protocol(error.to_string()),
                };
                if let Err(error) = self.take(key, number, frame, &message) {
                    return error;
                }
                number += 1;
            }
            acks.notify_one();
            if let Err(error) = receiver.read().await {
                return error;
            }
        }
    }

    /// Delivers a message, unless it is here already.
    fn take(&self, key: Key, number: u64, frame: bytes::Bytes, message: &Publish) -> Result<(), PeerError> {
        let (slot, arrival) = {
            let state = self.state.borrow();
            let origin = state.origins.get(&key);
            let Some((origin, inbound)) = origin.and_then(|origin| Some((origin, origin.inbound.as_ref()?)))
            else {
                return Err(PeerError::Stream("it has left the view".to_owned()));
            };
            (origin.slot, inbound.arrival(number))
        };
        match arrival {
            Some(Arrival::Duplicate) => Ok(()),
            None => Err(PeerError::Protocol(format!("messages before {number} are missing"))),
            Some(Arrival::Next) => {
                let (receivers, legs) = self.deliver(key, number, message, slot);
                let mut state = self.state.borrow_mut();
                let arrival = state.arrived();
                let inbound = state.origins.get_mut(&key).and_then(|origin| origin.inbound.as_mut());
                if let Some(inbound) = inbound {
                    inbound.push(frame, arrival, receivers, legs);
                }
                Ok(())
            }
        }
    }

    /// `arrived`: the last acknowledgement that the origin has got of those that earlier streams took.
    async fn write_acks(
        &self,
        key: Key,
        arrived: Option<u64>,
        sender: &mut Sender,
        acks: &Notify,
    ) -> PeerError {
        let mut receivers = Vec::new();
        let mut through = self.acked_before(key, arrived, &mut receivers);
        loop {
            if let Some(through) = through.take()
                && self.local.may_act()
            {
                let ack = Ack { through, receivers: std::mem::take(&mut receivers) };
                if let Err(error) = sender.write_chunk(encode_frame(&ack)).await {
                    return error.into();
                }
                receivers = ack.receivers;
            }
            acks.notified().await;
            let mut state = self.state.borrow_mut();
            let inbound = state.origins.get_mut(&key).and_then(|origin| origin.inbound.as_mut());
            through = inbound.and_then(|inbound| inbound.take_ack(&mut receivers));
        }
    }

    /// What has been acknowledged on earlier streams, and may not have arrived.
    fn acked_before(&self, key: Key, arrived: Option<u64>, receivers: &mut Vec<u64>) -> Option<u64> {
        let state = self.state.borrow();
        let inbound = state.origins.get(&key)?.inbound.as_ref()?;
        receivers.extend(inbound.counts_after(arrived.unwrap_or(u64::MAX)));
        Some(inbound.acked()).filter(|acked| *acked > 0)
    }
}
