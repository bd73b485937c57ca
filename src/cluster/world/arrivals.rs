//! What arrives at a broker, of clients and of other brokers, unless a test has it fare otherwise.

use super::World;
use crate::{
    cluster::{
        host::{Message, Running},
        intercept::{self, Fate},
        post::{ClientRequest, Event},
    },
    error::{Error, Result},
    types::BrokerId,
};

impl World {
    /// A broker's message arrives, unless it was to fare otherwise.
    pub(super) fn receive(
        &self,
        (from, at): (BrokerId, BrokerId),
        running: &mut Running,
        message: Message,
    ) -> Result<()> {
        let name = |id| running.image().topic_by_id(id).map(|topic| topic.name.to_string());
        let Some((key, fate)) = intercept::fate_of_message(&self.rules, at, &message, name) else {
            return running.receive(from, message);
        };
        self.log(fate.fact(at, Some(from), key));
        match fate {
            Fate::Fail(error) => {
                message.refusal(error).into_iter().for_each(|answer| self.post.send(at, from, &answer));
            }
            Fate::LoseRequest => {}
            Fate::LoseAnswer => return running.receive(from, message.without_answer()),
            Fate::Delay(by) => {
                self.post.push(self.now().plus(by), Event::LateMessage { from, to: at, message });
            }
        }
        Ok(())
    }

    /// A client's request arrives, unless it was to fare otherwise.
    pub(super) fn asked(&self, at: BrokerId, running: &mut Running, request: ClientRequest) {
        let name = |id| running.image().topic_by_id(id).map(|topic| topic.name.to_string());
        let Some((key, fate)) = intercept::fate(&self.rules, at, &request, name) else {
            return running.asked(request);
        };
        self.log(fate.fact(at, None, key));
        let break_off = |request: ClientRequest, error| request.connection().fail(&self.post, at, error);
        match fate {
            Fate::Fail(error) => break_off(request, error),
            Fate::LoseRequest => break_off(request, Error::NetworkException),
            Fate::LoseAnswer => running.asked(request.without_answer(&self.post, at)),
            Fate::Delay(by) => self.post.push(self.now().plus(by), Event::Late { to: at, request }),
        }
    }
}
